package crash

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

// Action is what becomes of a call: nothing special, an error instead of it, or the death of
// the program before it.
type Action struct {
	Kill  bool
	Errno syscall.Errno
}

// Program is what Start runs.
type Program struct {
	Path   string   // absolute
	Args   []string // without the name
	Env    []string // added to the environment
	Dir    string   // data folder whose calls count, absolute and without links
	Record bool     // keep what is written

	// At is asked about every call when it begins; nil lets all go on. It must be quick.
	At func(Call) Action
	// Trampoline is a binary that calls [Bounce] first: the filter has to be set by the process
	// itself. The test binary is one.
	Trampoline string
}

// Process is a traced program. Wait must be called.
type Process struct {
	Pid    int
	Stdout io.ReadCloser

	stderr *os.File
	done   chan struct{}
	status syscall.WaitStatus
	err    error

	mu    sync.Mutex
	calls []Call
	hit   *Call
}

const trampolineEnv = "FLETTE_CRASH_PROGRAM"

// Numbers of amd64 and of ptrace, that package syscall lacks.
const (
	sysWrite, sysOpen, sysPwrite64, sysFsync, sysFdatasync, sysFtruncate = 1, 2, 18, 74, 75, 77
	sysRename, sysMkdir, sysLink, sysUnlink, sysOpenat                   = 82, 83, 86, 87, 257
	sysMkdirat, sysUnlinkat, sysRenameat, sysLinkat, sysRenameat2        = 258, 263, 264, 265, 316

	optSysGood, optFork, optVfork, optClone, optExec, optSeccomp, optExitKill = 1, 2, 4, 8, 16, 128, 1 << 20

	eventSeccomp  = 7
	waitAll       = 0x40000000
	waitOwnThread = 0x20000000
	atFdCwd       = -100
)

var watched = []uint32{
	sysWrite, sysOpen, sysPwrite64, sysFsync, sysFdatasync, sysFtruncate, sysRename, sysMkdir, sysLink, sysUnlink, sysOpenat,
	sysMkdirat, sysUnlinkat, sysRenameat, sysLinkat, sysRenameat2,
}

// Bounce becomes the program that Start wants, behind a filter that stops at the watched
// calls. It returns when the process was not started by Start. Call it while the process
// still has one thread's worth of Go: in an init function.
func Bounce() {
	program := os.Getenv(trampolineEnv)
	if program == "" {
		return
	}
	type filter struct {
		code   uint16
		jt, jf uint8
		k      uint32
	}
	prog := []filter{{0x20, 0, 0, 0}} // load the number of the call
	for i, nr := range watched {
		prog = append(prog, filter{0x15, uint8(len(watched) - i), 0, nr}) // equal: to the last line
	}
	prog = append(prog, filter{0x06, 0, 0, 0x7fff0000}, filter{0x06, 0, 0, 0x7ff00000}) // allow; trace
	fprog := struct {
		n      uint16
		filter *filter
	}{uint16(len(prog)), &prog[0]}
	const setNoNewPrivs, setSeccomp, modeFilter = 38, 22, 2
	_, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0)
	if e == 0 {
		_, _, e = syscall.RawSyscall6(syscall.SYS_PRCTL, setSeccomp, modeFilter, uintptr(unsafe.Pointer(&fprog)), 0, 0, 0)
	}
	if e != 0 {
		fmt.Fprintln(os.Stderr, "crash: filter:", e)
		os.Exit(99)
	}
	_ = os.Unsetenv(trampolineEnv)
	fmt.Fprintln(os.Stderr, "crash: exec:", syscall.Exec(program, append([]string{program}, os.Args[1:]...), os.Environ()))
	os.Exit(99)
}

// Start runs a program under trace.
func Start(p Program) (*Process, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	stderr, err := os.CreateTemp("", "crash-stderr-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(stderr.Name()) // it lives as long as it is open
	s := &Process{Stdout: out, stderr: stderr, done: make(chan struct{})}
	started := make(chan error)
	go s.trace(p, in, started)
	err = <-started
	_ = in.Close()
	if err != nil {
		return nil, errors.Join(err, out.Close(), stderr.Close())
	}
	return s, nil
}

// Wait returns how the program ended.
func (s *Process) Wait() (syscall.WaitStatus, error) {
	<-s.done
	return s.status, s.err
}

// Done is closed when the program has ended.
func (s *Process) Done() <-chan struct{} { return s.done }

// Stderr returns what the program wrote there.
func (s *Process) Stderr() string {
	b, err := io.ReadAll(io.NewSectionReader(s.stderr, 0, 1<<20))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Close releases what is kept of a process that has ended.
func (s *Process) Close() error { return errors.Join(s.Stdout.Close(), s.stderr.Close()) }

// Signal sends a signal to the program.
func (s *Process) Signal(sig syscall.Signal) error { return syscall.Kill(s.Pid, sig) }

// Mark notes that the driver has learnt something at this moment.
func (s *Process) Mark(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, Call{Seq: len(s.calls) + 1, Name: "mark", Mark: v})
}

// Calls returns the calls so far, marks among them.
func (s *Process) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[:len(s.calls):len(s.calls)]
}

// Hit returns the call that got an action other than going on; nil for none.
func (s *Process) Hit() *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hit
}

// trace starts the program and follows it to its end. All of ptrace belongs to one thread.
func (s *Process) trace(p Program, stdout *os.File, started chan<- error) {
	runtime.LockOSThread() // and never unlock: the thread ends with this goroutine
	defer close(s.done)
	env := append(append(os.Environ(), p.Env...), trampolineEnv+"="+p.Path)
	pid, err := syscall.ForkExec(p.Trampoline, append([]string{p.Path}, p.Args...), &syscall.ProcAttr{
		Env: env, Files: []uintptr{0, stdout.Fd(), s.stderr.Fd()}, Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err == nil {
		var ws syscall.WaitStatus
		if _, err = syscall.Wait4(pid, &ws, waitAll, nil); err == nil {
			err = syscall.PtraceSetOptions(pid, optSysGood|optFork|optVfork|optClone|optExec|optSeccomp|optExitKill)
		}
		if err == nil {
			err = syscall.PtraceCont(pid, 0)
		}
	}
	s.Pid, s.err = pid, err
	started <- err
	if err != nil {
		return
	}
	known := map[int]bool{pid: true}
	for {
		var ws syscall.WaitStatus
		// Of its process group: this thread may have started other programs for other goroutines.
		tid, err := syscall.Wait4(-pid, &ws, waitAll|waitOwnThread, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			s.err = fmt.Errorf("crash: wait: %w", err)
			return
		}
		if !ws.Stopped() {
			if tid == pid {
				s.status = ws
				return
			}
			continue
		}
		signal := 0
		switch stop := ws.StopSignal(); {
		case stop == syscall.SIGTRAP && ws>>16 == eventSeccomp:
			s.atCall(&p, tid)
		case stop == syscall.SIGTRAP, stop == syscall.SIGSTOP && !known[tid]:
		default:
			signal = int(stop)
		}
		known[tid] = true
		// A process that was killed meanwhile is not there to be continued.
		_ = syscall.PtraceCont(tid, signal)
	}
}

// atCall looks at a watched call that begins.
func (s *Process) atCall(p *Program, tid int) {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(tid, &regs); err != nil {
		return
	}
	c, ok := s.read(p, tid, &regs)
	if !ok {
		return
	}
	s.mu.Lock()
	c.Seq = len(s.calls) + 1
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	if p.At == nil {
		return
	}
	a := p.At(c)
	if a == (Action{}) {
		return
	}
	s.mu.Lock()
	s.hit = &c
	s.mu.Unlock()
	if a.Kill {
		_ = syscall.Kill(s.Pid, syscall.SIGKILL)
		return
	}
	regs.Orig_rax = ^uint64(0) // no call at all
	regs.Rax = uint64(-int64(a.Errno))
	if err := syscall.PtraceSetRegs(tid, &regs); err != nil {
		s.err = fmt.Errorf("crash: inject: %w", err)
	}
}

// read makes out a call; not ok for one that does not count.
func (s *Process) read(p *Program, tid int, r *syscall.PtraceRegs) (c Call, ok bool) {
	path := func(dir int, name uint64) (string, bool) { return s.under(p, s.name(tid, dir, name)) }
	switch r.Orig_rax {
	case sysWrite, sysPwrite64:
		c = Call{Name: "write", Size: int(r.Rdx), Off: -1}
		if r.Orig_rax == sysPwrite64 {
			c.Name, c.Off = "pwrite64", int64(r.R10)
		}
		target := s.fd(tid, int(int32(r.Rdi)))
		if strings.HasPrefix(target, "socket:") {
			c.Path, c.Off = "socket", 0
			return c, true
		}
		if c.Path, ok = s.under(p, target); ok && p.Record {
			c.Data = s.memory(tid, r.Rsi, c.Size)
		}
		return c, ok
	case sysFsync, sysFdatasync, sysFtruncate:
		c.Name = map[uint64]string{sysFsync: "fsync", sysFdatasync: "fdatasync", sysFtruncate: "ftruncate"}[r.Orig_rax]
		if c.Name == "ftruncate" {
			c.Off = int64(r.Rsi)
		}
		c.Path, ok = s.under(p, s.fd(tid, int(int32(r.Rdi))))
		return c, ok
	case sysOpenat, sysOpen:
		dir, name, flags := int(int32(r.Rdi)), r.Rsi, r.Rdx
		if r.Orig_rax == sysOpen {
			dir, name, flags = atFdCwd, r.Rdi, r.Rsi
		}
		if flags&syscall.O_CREAT == 0 {
			return c, false
		}
		c.Name = "create"
		c.Path, ok = path(dir, name)
		return c, ok
	case sysMkdir, sysUnlink:
		c.Name = map[uint64]string{sysMkdir: "mkdir", sysUnlink: "unlink"}[r.Orig_rax]
		c.Path, ok = path(atFdCwd, r.Rdi)
		return c, ok
	case sysMkdirat, sysUnlinkat:
		c.Name = map[uint64]string{sysMkdirat: "mkdir", sysUnlinkat: "unlink"}[r.Orig_rax]
		c.Path, ok = path(int(int32(r.Rdi)), r.Rsi)
		return c, ok
	case sysRename, sysLink:
		c.Name = map[uint64]string{sysRename: "rename", sysLink: "link"}[r.Orig_rax]
		c.Path, ok = path(atFdCwd, r.Rdi)
		c.To, _ = path(atFdCwd, r.Rsi)
		return c, ok
	case sysRenameat, sysRenameat2, sysLinkat:
		c.Name = "rename"
		if r.Orig_rax == sysLinkat {
			c.Name = "link"
		}
		c.Path, ok = path(int(int32(r.Rdi)), r.Rsi)
		c.To, _ = path(int(int32(r.Rdx)), r.R10)
		return c, ok
	}
	return c, false
}

func (s *Process) fd(tid, fd int) string {
	target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, fd))
	if err != nil {
		return ""
	}
	return target
}

// name reads the path at an address of the program.
func (s *Process) name(tid, dir int, addr uint64) string {
	b := s.memory(tid, addr, 4096)
	if i := strings.IndexByte(string(b), 0); i >= 0 {
		b = b[:i]
	}
	name := string(b)
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	base := s.fd(tid, dir)
	if dir == atFdCwd {
		base, _ = os.Readlink(fmt.Sprintf("/proc/%d/cwd", tid))
	}
	return filepath.Join(base, name)
}

// memory reads up to n bytes; fewer where the mapping ends.
func (s *Process) memory(tid int, addr uint64, n int) []byte {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, n)
	got, _ := f.ReadAt(b, int64(addr))
	if got <= 0 && n > 256 { // the rest of a page may not be there
		got, _ = f.ReadAt(b[:256], int64(addr))
	}
	return b[:max(got, 0)]
}

func (s *Process) under(p *Program, path string) (string, bool) {
	rel, err := filepath.Rel(p.Dir, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") || path == "" {
		return "", false
	}
	return rel, true
}
