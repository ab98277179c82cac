package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// byHand is the deploy that people write who have no program for it: build,
// remove the container, run the new one, write the virtual host, reload.
type byHand struct {
	*bench
	app     string
	address string
}

func (b *bench) byHand(app string) *byHand { return &byHand{b, app, freeAddress()} }

func (h *byHand) redeploy() error {
	if err := h.bareBuild(h.app); err != nil {
		return err
	}
	if err := h.podman("rm", "--force", "--ignore", "byhand"); err != nil {
		return err
	}
	if err := h.podman("run", "--detach", "--name", "byhand", "--publish", h.address+":8080", "localhost/bench/bare"); err != nil {
		return err
	}
	if err := h.writeVhost(); err != nil {
		return err
	}
	return exec.Command(filepath.Join(h.host.Dir, "apache.sh"), "-k", "graceful").Run()
}

func (h *byHand) writeVhost() error {
	vhost := fmt.Sprintf(`<VirtualHost 127.0.0.1:%s>
    ServerName byhand.review.localhost
    <Location "/">
        AuthType Basic
        AuthName "Review apps"
        AuthUserFile "%s/htpasswd"
        Require valid-user
    </Location>
    ProxyPass "/" "http://%s/" upgrade=websocket
</VirtualHost>
`, h.host.Port, h.host.Dir, h.address)
	return os.WriteFile(filepath.Join(h.host.Dir, "vhosts", "by-hand.conf"), []byte(vhost), 0o644)
}
