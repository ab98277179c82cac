package doctor

import "context"

// Certificate passes on what is wrong with the certificate. file is "" where there is no TLS.
func Certificate(file string, warnings func() []string) func(context.Context) []Finding {
	return func(context.Context) []Finding {
		if file == "" {
			return skip("there is no TLS here")
		}
		var found []Finding
		for _, text := range warnings() {
			found = append(found, fail(text, "# put the new certificate into "+Quote(file), "systemctl reload apache2.service")...)
		}
		return orOK(found, "%s", file)
	}
}
