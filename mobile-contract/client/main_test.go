package client

import (
	"testing"

	"go.uber.org/goleak"
)

// Streams and listeners leave no goroutine behind.
func TestMain(m *testing.M) {
	// fasthttp keeps one goroutine per process for its Date header.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// It looks every 10 s whether its server has stopped.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}
