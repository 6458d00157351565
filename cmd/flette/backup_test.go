package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	gosync "sync"
	"syscall"
	"testing"
)

// Two backups that end in one second have two names, each with its own manifest: neither
// takes the place of the other.
func TestBackupsOfOneSecondHaveTheirOwnNames(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "testvik-20261126T002704Z")
	if err := os.WriteFile(name+"-2.db", nil, 0o600); err != nil { // its manifest was removed by hand
		t.Fatal(err)
	}
	const many = 8
	got, wait := make([]string, many), gosync.WaitGroup{}
	for i := range many {
		wait.Go(func() {
			db, err := reserveName(name)
			if err != nil {
				t.Error(err)
			}
			got[i] = db
		})
	}
	wait.Wait()
	slices.Sort(got)
	if names := slices.Compact(slices.Clone(got)); len(names) != many {
		t.Errorf("%d backups have %d names: %v", many, len(names), got)
	}
	if slices.Contains(got, name+"-2.db") {
		t.Error("a name was given that a backup has already")
	}
}

// A folder that takes no files is named as what it is: not the data folder.
func TestBackupNamesTheFolderThatTakesNoFiles(t *testing.T) {
	for _, cause := range []error{syscall.EROFS, syscall.EACCES} {
		p := problemOf(noWay(&fs.PathError{Op: "open", Path: "/mnt/backup/.testvik.1.partial", Err: cause}, "/mnt/backup/.testvik.1.partial"))
		const want = "nothing can be written to /mnt/backup (mounted read-only, or the permission is not there); the store is as it was"
		if p.Code != "backup-folder" || p.Detail != want {
			t.Errorf("%v: %s: %s", cause, p.Code, p.Detail)
		}
	}
}
