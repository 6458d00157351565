//go:build !unix

package main

import "io/fs"

// occupied is the room that a file takes on disk, or its length where that cannot be asked.
func occupied(info fs.FileInfo) int64 { return info.Size() }
