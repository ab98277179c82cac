package podman

import (
	"context"
	"fmt"

	"github.com/containers/podman/v5/pkg/bindings/images"
	"github.com/containers/podman/v5/pkg/bindings/system"
)

// About is what Podman tells of itself and of what it runs on.
type About struct {
	Version          string
	Rootless         bool
	CgroupVersion    string   // v1 or v2
	Controllers      []string // of cgroups, that its containers can have
	Network          string   // netavark or cni
	NetworkVersion   string   // netavark 1.14.0; "": it is not there
	DNSVersion       string   // aardvark-dns 1.14.0; "": it is not there
	Driver           string   // of its store: overlay
	MountProgram     string   // of its store; "": the kernel mounts
	Store            string   // directory
	NetworkOfOneself string   // pasta or slirp4netns; "": neither is there
}

// About asks Podman for it.
func (p *Podman) About(ctx context.Context) (About, error) {
	info, err := system.Info(p.call(ctx), nil)
	if err != nil {
		return About{}, p.explain(err, "ask Podman about itself")
	}
	a := About{Version: info.Version.Version}
	if h := info.Host; h != nil {
		a.Rootless, a.CgroupVersion, a.Controllers = h.Security.Rootless, h.CgroupsVersion, h.CgroupControllers
		a.Network, a.NetworkVersion, a.DNSVersion = h.NetworkBackend, h.NetworkBackendInfo.Version, h.NetworkBackendInfo.DNS.Version
		switch {
		case h.Pasta.Executable != "":
			a.NetworkOfOneself = "pasta"
		case h.Slirp4NetNS.Executable != "":
			a.NetworkOfOneself = "slirp4netns"
		}
	}
	if s := info.Store; s != nil {
		a.Driver, a.Store, a.MountProgram = s.GraphDriverName, s.GraphRoot, mountProgram(s.GraphOptions)
	}
	return a, nil
}

// mountProgram is found in "overlay.mount_program", whose value is a path or, newer, a
// description of the program.
func mountProgram(options map[string]any) string {
	switch value := options["overlay.mount_program"].(type) {
	case string:
		return value
	case map[string]any:
		return fmt.Sprint(value["Executable"])
	}
	return ""
}

// HasImage tells whether the image is in the local store.
func (p *Podman) HasImage(ctx context.Context, image string) (bool, error) {
	has, err := images.Exists(p.call(ctx), image, nil)
	return has, p.explain(err, "look for image %s", image)
}
