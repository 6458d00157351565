package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// demoMark is the file that tells a folder of the demo from a store with real people in it.
const demoMark = "flette-demo.txt"

const demoMarkText = "This folder was made by `flette demo`. Everything in it is synthetic and is deleted by the next run.\n"

// demoLeaves are all things that the demo makes in its folder.
var demoLeaves = []string{"tenants", "keys", "kpr", "transcript.json", "admin.sock"}

// claimDemoDir makes the folder the demo's own and empties it. A folder that holds anything
// and does not carry the demo's mark is refused and left as it is.
func claimDemoDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	held, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	mark := filepath.Join(dir, demoMark)
	if len(held) > 0 {
		text, err := os.ReadFile(mark)
		if err != nil || string(text) != demoMarkText {
			return fmt.Errorf("%s is not empty and was not made by the demo: name another folder", dir)
		}
	}
	for _, leaf := range demoLeaves {
		if err := os.RemoveAll(filepath.Join(dir, leaf)); err != nil {
			return err
		}
	}
	return os.WriteFile(mark, []byte(demoMarkText), 0o600)
}

// loopbackOnly refuses addresses that others could reach: the demo shows personal data,
// invented or not, behind a token that it prints.
func loopbackOnly(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--listen %s is not host:port", listen)
	}
	if !isLoopback(host) {
		return errors.New("the demo listens on a loopback address only, for example 127.0.0.1:0")
	}
	return nil
}
