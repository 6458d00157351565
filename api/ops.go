package api

import (
	"net/http"

	contract "flette/mobile-contract"
)

// live says that the process runs and answers.
func live(*call) (answer, error) {
	return answer{status: http.StatusOK, value: contract.Health{Status: "ok"}}, nil
}

// ready says whether to send work here. Why a check fails stays in the log: anybody may ask.
func ready(c *call) (answer, error) {
	out := contract.Health{Status: "ok", Checks: map[string]string{}}
	note := func(name string, fine bool) {
		out.Checks[name] = "ok"
		if !fine {
			out.Checks[name], out.Status = "fail", "fail"
		}
	}
	note("accepting", !c.s.stopping.Load())
	if c.s.o.Ready != nil {
		for name, err := range c.s.o.Ready(c.ctx) {
			note(name, err == nil)
			if err != nil {
				c.s.o.Log.Warn("not ready", "check", name, "error", err)
			}
		}
	}
	status := http.StatusOK
	if out.Status != "ok" {
		status = http.StatusServiceUnavailable
	}
	return answer{status: status, value: out}, nil
}
