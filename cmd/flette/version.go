package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the build (-ldflags "-X main.release=v1.2.3").
var release = ""

// version names the build: the release, else the commit, else "dev".
func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "dev-" + s.Value[:12]
			}
		}
	}
	return "dev"
}

type versionCmd struct {
	JSON bool `help:"Print JSON."`
}

// Run prints version, Go version and platform.
func (c *versionCmd) Run(out *output) error {
	return out.print(c.JSON, map[string]string{
		"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
	}, func() string {
		return fmt.Sprintf("flette %s (%s, %s/%s)", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	})
}
