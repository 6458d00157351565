package main

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	gosync "sync"
	"time"

	"flette/api"
	"flette/api/auth"
	"flette/model"
)

// stopFor is how long a shutdown waits for requests that run.
const stopFor = 15 * time.Second

type serveCmd struct {
	dataFlags
	Listen      string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on; port 0 picks a free one. Default: ${default}."`
	TLSCert     string        `name:"tls-cert" placeholder:"FILE" help:"Certificate chain, PEM."`
	TLSKey      string        `name:"tls-key" placeholder:"FILE" help:"Private key of the certificate, PEM."`
	BehindProxy bool          `help:"A proxy in front does TLS: allow plain HTTP on other addresses than loopback."`
	External    string        `placeholder:"URL" help:"Base URL by which tablets call, when it is not the address listened on."`
	OIDCConfig  string        `name:"oidc-config" placeholder:"FILE" help:"Identity providers whose access tokens are accepted, JSON."`
	KeepDays    int           `default:"90" placeholder:"DAYS" help:"How long tablets keep what they have handed in, for a server restored from a backup. Default: ${default}."`
	Memory      int           `default:"256" placeholder:"MIB" help:"Memory that the server tries to stay below, without the mapped store files. Default: ${default}."`
	Floor       int           `name:"contract-floor" default:"0" placeholder:"N" help:"Oldest contract version whose entries take effect without a supervisor; 0 for every one."`
	ScrubEvery  time.Duration `default:"24h" placeholder:"TIME" help:"How often every page of every store is read to find damage; 0 for never. Default: ${default}."`
	LogLevel    slog.Level    `default:"info" placeholder:"LEVEL" help:"debug, info, warn or error. Default: ${default}."`
}

// Help is shown by --help.
func (*serveCmd) Help() string {
	return `Serves tablets and supervisors. When it is ready it prints one line, "listening on URL"; logs
are JSON lines on standard error. SIGINT and SIGTERM end it after the requests that run.

A disk that fails a write or a sync ends it with exit code 4 after the requests that run, none
of which is told that it was done; let the service manager start it again. A full disk does
not: writes are refused until there is room, and reads go on.

Every store is read whole at the start, which is refused when one is damaged, and again each
--scrub-every: damage that is found then is logged with tenant and place, and /readyz says so.

Every other verb works on the same folder while it serves (DIR/admin.sock, for the same user
only).

--contract-floor N holds entries of an older contract version for a supervisor and tells their
tablets to update; nothing is refused. After an upgrade, entries that waited for this version
are judged anew when the server starts.

--oidc-config names a JSON array of objects with the members issuer, audience, algorithms,
jwks_url or jwks_file, and where they differ from the defaults roles_claim, tenant_claim,
hpr_claim, and require (claims that must have a value).

Examples:

    flette serve --data /srv/flette
    flette serve --data /srv/flette --listen :8443 --tls-cert cert.pem --tls-key key.pem --external https://flette.testvik.example:8443
    flette serve --data /srv/flette --listen 10.0.0.5:8080 --behind-proxy --external https://flette.testvik.example`
}

// Validate refuses what would send access tokens over a network in clear.
func (c *serveCmd) Validate() error {
	if c.KeepDays < 1 {
		return errors.New("--keep-days: tablets keep what they have handed in for 1 day at least; it must be longer than the oldest backup that may be restored")
	}
	if c.Memory < 32 {
		return errors.New("--memory: the server needs 32 MiB at least")
	}
	if c.ScrubEvery < 0 {
		return errors.New("--scrub-every: a time, for example 24h, or 0 for never")
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: an address is written host:port, for example 127.0.0.1:8080")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	if c.Floor < 0 || c.Floor > model.ContractVersion {
		return fmt.Errorf("--contract-floor: a number from 0 to %d", model.ContractVersion)
	}
	if c.External != "" {
		if err := checkBase("--external", c.External); err != nil {
			return err
		}
	}
	if isLoopback(host) {
		return nil
	}
	https := strings.HasPrefix(c.External, "https://")
	switch {
	case c.TLSCert == "" && !c.BehindProxy:
		return errors.New("--listen: this address can be reached from other machines, and tokens and health data would cross the network in clear; give --tls-cert and --tls-key, or --behind-proxy with --external when a proxy does TLS")
	case c.TLSCert == "" && !https:
		return errors.New("--behind-proxy: give the https address of the proxy with --external, because tablets prove their key for it")
	case c.External == "" && (host == "" || net.ParseIP(host).IsUnspecified()):
		return errors.New("--listen: this is every address of the machine; give with --external the one by which tablets call, because they prove their key for it")
	case c.External != "" && !https:
		return errors.New("--external: tablets call an address of the network by https only")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Run serves until the context is done.
func (c *serveCmd) Run(ctx context.Context, out *output) (err error) {
	log := slog.New(slog.NewJSONHandler(out.stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	debug.SetMemoryLimit(int64(c.Memory) << 20)
	issuers, err := readIssuers(c.OIDCConfig)
	if err != nil {
		return err
	}
	// startAdmin asks again; asked here, the answer says more than that the store is in use.
	if running, err := serverRuns(c.Data); err != nil {
		return err
	} else if running {
		return errServerRuns
	}
	a, err := openApp(appOptions{Dir: c.Data, Keys: c.Keys, Log: log, KeepDays: c.KeepDays, Floor: c.Floor})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.recheck(ctx); err != nil {
		return err
	}
	ln, base, err := c.listen()
	if err != nil {
		return err
	}
	s, err := a.newServer(ctx, issuers, base)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer a.scrubbing(ctx, c.ScrubEvery)()
	defer a.inBackground(ctx, a.rejudge)()
	defer a.countingDaily(ctx, countEvery)()
	return a.serve(ctx, s, ln, func() error { return announce(out.stdout, base, ln) })
}

// recheck judges anew what waited for this version of the server, or for a lower floor.
func (a *app) recheck(ctx context.Context) error {
	ids, err := a.store.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		n, err := a.engine.Recheck(ctx, id)
		if err != nil {
			// Nothing is lost: they wait on, and the server is needed.
			a.log.Warn("entries that waited for an upgrade could not be judged anew", "tenant", string(id), "error", err.Error())
		}
		if n > 0 {
			a.log.Info("entries that waited for an upgrade took effect", "tenant", string(id), "entries", n)
		}
	}
	return nil
}

// rejudge judges findings anew that follow the rules of another version of the program.
func (a *app) rejudge(ctx context.Context) {
	ids, err := a.store.Tenants(ctx)
	if err != nil {
		return // closing
	}
	for _, id := range ids {
		n, err := a.engine.Rejudge(ctx, id)
		if err != nil && ctx.Err() == nil {
			a.log.Warn("findings follow former rules and could not be judged anew", "tenant", string(id), "error", err.Error())
		}
		if n > 0 {
			a.log.Info("findings were judged anew by the rules of this version", "tenant", string(id), "persons", n)
		}
	}
}

// flushEvery is how long the diary of a device may be ahead of the store.
const flushEvery = 15 * time.Second

// flushing writes device diaries until ctx is done, and once more then.
func (a *app) flushing(ctx context.Context) {
	flush := func(ctx context.Context) {
		if err := a.engine.Flush(ctx); err != nil {
			a.log.Warn("device diaries wait to be written", "error", err.Error())
		}
	}
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			flush(ctx)
		case <-ctx.Done():
			flush(context.WithoutCancel(ctx))
			return
		}
	}
}

// listen opens the port. base is the URL by which clients call.
func (c *serveCmd) listen() (ln net.Listener, base string, err error) {
	var config *tls.Config
	scheme := "http"
	if c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, "", problemf("tls", "the certificate and its key cannot be used: %v", err)
		}
		config, scheme = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, "https"
	}
	if ln, err = net.Listen("tcp", c.Listen); err != nil {
		return nil, "", problemf("listen", "the address cannot be listened on: %v", err)
	}
	if base = strings.TrimSuffix(c.External, "/"); base == "" {
		base = scheme + "://" + ln.Addr().String()
	}
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	return ln, base, nil
}

// announce prints the line that tells scripts to go on.
func announce(w io.Writer, base string, ln net.Listener) error {
	line := "listening on " + base
	if !strings.HasSuffix(base, "://"+ln.Addr().String()) {
		line += " (" + ln.Addr().String() + ")"
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

// newServer makes the HTTP server over an app. External issuers are accepted beside the own
// one of each tenant, also of tenants that come later.
func (a *app) newServer(ctx context.Context, external []auth.IssuerConfig, base string) (*api.Server, error) {
	all := func(ctx context.Context) ([]auth.IssuerConfig, error) {
		own, err := a.issuers(ctx)
		return append(own, external...), err
	}
	configs, err := all(ctx)
	if err != nil {
		return nil, err
	}
	verifier, err := auth.NewVerifier(configs)
	if err != nil {
		return nil, problemf("oidc-config", "the identity providers cannot be used: %v", err)
	}
	a.external = base
	var one gosync.Mutex // the last to replace must be the last to have listed
	a.tenantsChanged = func(ctx context.Context) error {
		one.Lock()
		defer one.Unlock()
		configs, err := all(ctx)
		if err != nil {
			return err
		}
		return verifier.Replace(configs)
	}
	return api.New(api.Options{
		Engine: a.engine, Verifier: verifier, External: base, Now: a.now, Log: a.log,
		TokenKey: a.tokenKey, Extracts: apiExtracts{a}, Weekly: weekly, WeeklyUnits: weeklyUnits, Report: a.report, Ready: a.ready, Limits: a.limits,
	})
}

func (a *app) tokenKey(t model.TenantID) (kid string, key ed25519.PrivateKey, err error) {
	k, err := a.tenantKeys(t)
	if err != nil {
		return "", nil, err
	}
	kid, key = k.TokenKey()
	return kid, key, nil
}

// serve answers on the listener and on the admin socket until ctx is done, then lets what
// runs finish.
func (a *app) serve(ctx context.Context, s *api.Server, ln net.Listener, ready func() error) error {
	admin, err := startAdmin(a, s)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	diaries, endDiaries := context.WithCancel(context.WithoutCancel(ctx))
	var flushed gosync.WaitGroup
	flushed.Go(func() { a.flushing(diaries) })
	if err = ready(); err == nil {
		select {
		case <-ctx.Done():
			a.log.Info("stopping")
		case err = <-served:
			served <- nil
		case err = <-a.store.Failed():
			// Its file is unknown until the next process has read it again: see store.ErrStopped.
			a.log.Error("the disk failed a write; ending, so that the next start reads it again", "error", err)
		}
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopFor)
	defer cancel()
	err = errors.Join(err, admin.stop(stopping), s.Shutdown(stopping), <-served)
	endDiaries()
	flushed.Wait()
	select {
	case failed := <-a.store.Failed(): // the last diaries found the disk failing
		err = errors.Join(err, failed)
	default:
	}
	a.log.Info("stopped")
	return err
}
