package main

import (
	"net"
	"syscall"
)

// peerUID is the user at the other end of a unix socket. The mode of the socket keeps others
// out; this also does in the moment before the mode is set.
func peerUID(c net.Conn) (uid int, known bool) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return -1, true
	}
	uid = -1
	err = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid = int(cred.Uid)
		}
	})
	if err != nil {
		uid = -1
	}
	return uid, true
}
