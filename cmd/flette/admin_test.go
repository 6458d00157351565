package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flette/model"
)

// TestOtherVersion asks a running server for what it does not know: the sentence says that
// the two programs are of different versions.
func TestOtherVersion(t *testing.T) {
	dir := t.TempDir()
	a, err := openApp(appOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s, err := startAdmin(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	type grown struct {
		Tenant model.TenantID `json:"tenant"`
		Later  int            `json:"later"`
	}
	later := op[grown, []personView]{name: personListOp.name}
	unknown := op[struct{}, struct{}]{name: "later"}
	_, err1 := doOp(t.Context(), dataFlags{Data: dir}, later, grown{"testvik", 1})
	_, err2 := doOp(t.Context(), dataFlags{Data: dir}, unknown, struct{}{})
	for _, err := range []error{err1, err2} {
		var p *problem
		if !errors.As(err, &p) || p.Code != "other-version" {
			t.Errorf("got %v", err)
		}
	}
	if _, err := startAdmin(a, nil); !errors.Is(err, errServerRuns) {
		t.Errorf("a second server gave %v", err)
	}
	if err := s.stop(context.Background()); err != nil {
		t.Error(err)
	}
	if running, err := serverRuns(dir); running || err != nil {
		t.Errorf("after the stop: %v, %v", running, err)
	}
}

// TestSocketIsPrivate looks at the mode, and at who is at the other end.
func TestSocketIsPrivate(t *testing.T) {
	a, err := openApp(appOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s, err := startAdmin(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(socketPath(a.dir))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	c, err := net.Dial("unix", socketPath(a.dir))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if uid, known := peerUID(c); known && uid != os.Getuid() {
		t.Errorf("the other end is user %d", uid)
	}
	if err := s.stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestSocketNameTooLong(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", 120))
	a, err := openApp(appOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := startAdmin(a, nil); err == nil || problemOf(err).Code != "socket" {
		t.Errorf("got %v", err)
	}
	if _, err := doOp(t.Context(), dataFlags{Data: dir}, tenantListOp, struct{}{}); err != nil {
		t.Errorf("without a socket the store is read here: %v", err)
	}
}

// TestListenTLS serves a certificate and announces https.
func TestListenTLS(t *testing.T) {
	dir := t.TempDir()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	c := serveCmd{Listen: "127.0.0.1:0", KeepDays: 90, TLSCert: filepath.Join(dir, "cert.pem"), TLSKey: filepath.Join(dir, "key.pem")}
	for path, block := range map[string]*pem.Block{c.TLSCert: {Type: "CERTIFICATE", Bytes: der}, c.TLSKey: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ln, base, err := c.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if base != "https://"+ln.Addr().String() {
		t.Errorf("announced as %s", base)
	}
	go func() {
		if conn, err := ln.Accept(); err == nil {
			_, _ = conn.Write([]byte("x"))
			_ = conn.Close()
		}
	}()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if v := conn.ConnectionState().Version; v < tls.VersionTLS12 {
		t.Errorf("TLS version %x", v)
	}
	c.TLSKey = c.TLSCert
	if _, _, err := c.listen(); err == nil || problemOf(err).Code != "tls" {
		t.Errorf("a certificate without its key gave %v", err)
	}
}
