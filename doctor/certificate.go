package doctor

import (
	"context"
	"fmt"
	"path/filepath"
)

// TLS is what the apps are served with.
type TLS struct {
	Certificate, Key string // files; "": there is no TLS
	// Shared is for a host whose runner's user runs Apache's configtest, which reads both.
	Shared   bool
	Warnings func() []string // what is wrong with what is in them
}

// Certificate checks that the certificate fits and lasts, and that who must read it may.
func (h Host) Certificate(tls TLS) func(context.Context) []Finding {
	return func(ctx context.Context) []Finding {
		if tls.Certificate == "" {
			return skip("there is no TLS here")
		}
		var found []Finding
		for _, text := range tls.Warnings() {
			found = append(found, fail(text, "# put the new certificate into "+Quote(tls.Certificate), "systemctl reload apache2.service")...)
		}
		if tls.Shared {
			found = append(found, h.readable(ctx, tls.Certificate)...)
			found = append(found, h.readable(ctx, tls.Key)...)
		}
		return orOK(found, "%s", tls.Certificate)
	}
}

// readable checks that the runner's user may read a file.
func (h Host) readable(ctx context.Context, file string) []Finding {
	if may, known := h.User.may(ctx, "-r", file); may || !known {
		return nil
	}
	var mend []string
	for dir := filepath.Dir(file); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if may, known := h.User.may(ctx, "-x", dir); known && !may {
			mend = append([]string{command("chmod", "o+x", dir)}, mend...)
		}
	}
	mend = append(mend, command("chgrp", h.User.group(), file), command("chmod", "g+r", file))
	return fail(fmt.Sprintf("%s may not read %s, and so no change of the front passes Apache's configtest", h.User.Name, file), mend...)
}
