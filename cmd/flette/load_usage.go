package main

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has used so far.
type usage struct {
	cpu  time.Duration // user and system
	peak int64         // bytes of resident memory, at most: with the pages of mapped store files
	heap int64         // bytes of it now that are the process's own
}

// processUsage reads /proc; ok is false where there is none, or no such process.
func processUsage(pid int) (u usage, ok bool) {
	if pid <= 0 {
		return u, false
	}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return u, false
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return u, false
	}
	u.cpu, ok = parseStat(stat)
	u.peak, u.heap = parseStatus(status, "VmHWM:"), parseStatus(status, "RssAnon:")
	return u, ok
}

// ticks a second of the times in /proc: USER_HZ, which is 100 on every Linux that Go runs on.
const userHZ = 100

// parseStat reads utime and stime, members 14 and 15. The second member is the name in
// parentheses and may hold anything, also blanks and parentheses.
func parseStat(stat []byte) (time.Duration, bool) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, false
	}
	f := strings.Fields(string(stat[end+1:]))
	if len(f) < 13 {
		return 0, false
	}
	user, err := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * (time.Second / userHZ), err == nil && err2 == nil
}

// parseStatus reads a size, which is in KiB; 0 when it is not there.
func parseStatus(status []byte, name string) int64 {
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}

// storeBytes is what all store files of a data folder occupy. A file grows in large steps
// that take no room before they are written, so its length would tell nothing.
func storeBytes(dir string) (total int64) {
	files, err := filepath.Glob(filepath.Join(dir, "tenants", "*.db"))
	if err != nil {
		return 0
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			total += occupied(info)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return 0
		}
	}
	return total
}
