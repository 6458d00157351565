//go:build unix

package main

import (
	"io/fs"
	"syscall"
)

// occupied is the room that a file takes on disk.
func occupied(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}
