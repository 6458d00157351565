package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestClaimDemoDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	if err := claimDemoDir(dir); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, "tenants", "old.db")
	if err := os.MkdirAll(filepath.Dir(old), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := claimDemoDir(dir); err != nil {
		t.Errorf("its own folder: %v", err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the last run is still there: %v", err)
	}
}

func TestClaimDemoDirRefusesStrangers(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "tenants", "real.db")
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := claimDemoDir(dir); err == nil {
		t.Error("a folder with a store in it was taken")
	}
	if b, err := os.ReadFile(kept); err != nil || string(b) != "kept" {
		t.Errorf("the store was touched: %v", err)
	}
}

func TestLoopbackOnly(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:0": true, "127.0.0.9:80": true, "[::1]:8080": true, "localhost:0": true,
		"0.0.0.0:0": false, ":8080": false, "[::]:1": false, "192.0.2.1:1": false, "example.org:1": false, "127.0.0.1": false, "": false,
	} {
		if err := loopbackOnly(listen); (err == nil) != ok {
			t.Errorf("%q: %v", listen, err)
		}
	}
}

func TestStoryClock(t *testing.T) {
	real := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	c := newStoryClock(clockAt(7, 0), func() time.Time { return real })
	real = real.Add(time.Second)
	if got := c.Now(); !got.Equal(clockAt(7, 0).Add(time.Second)) {
		t.Errorf("it does not run: %s", got)
	}
	c.Until(clockAt(9, 0))
	real = real.Add(time.Minute)
	if got := c.Now(); !got.Equal(clockAt(9, 1)) {
		t.Errorf("it does not jump: %s", got)
	}
	c.Until(clockAt(8, 0))
	if got := c.Now(); !got.Equal(clockAt(9, 1)) {
		t.Errorf("it went back: %s", got)
	}
}
