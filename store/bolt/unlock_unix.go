//go:build unix && !solaris && !aix

package bolt

import (
	"os"
	"syscall"
)

// unlock gives up the lock on a file whose opening bbolt did not live through. What it has
// mapped by then keeps the file, and the lock with it, beyond Close.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
