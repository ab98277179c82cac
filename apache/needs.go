package apache

import "slices"

// Modules are those of Apache that the virtual hosts use.
func (c Config) Modules() []string {
	if c.tls() {
		return slices.Concat(modules, tlsModules)
	}
	return slices.Clone(modules)
}

// Address is where Apache answers for the apps, as seen from this host.
func (c Config) Address() string { return (&Front{cfg: c}).address() }
