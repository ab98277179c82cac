package doctor

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"strings"
)

// Resolver finds the addresses of a name.
type Resolver func(ctx context.Context, name string) ([]string, error)

// DNS checks that any name under the domain leads to this host. It asks for one that
// nobody has asked for before.
func (h Host) DNS(resolve Resolver) func(context.Context) []Finding {
	return func(ctx context.Context) []Finding {
		if h.Domain == "" {
			return skip("the configuration names no domain")
		}
		if h.Domain == "localhost" || strings.HasSuffix(h.Domain, ".localhost") {
			return ok("%s is always this host", h.Domain)
		}
		name := "doctor-" + strings.ToLower(rand.Text()[:10]) + "." + h.Domain
		addresses, err := resolve(ctx, name)
		record := fmt.Sprintf("# add to the zone of %s:  *.%s. IN A %s", h.Domain, h.Domain, firstAddress())
		switch {
		case err != nil:
			return fail(fmt.Sprintf("names under %s are not found: %v", h.Domain, cause(err)), record)
		case len(addresses) == 0:
			return fail(fmt.Sprintf("names under %s have no address", h.Domain), record)
		}
		if !ours(addresses) {
			return warn(fmt.Sprintf("names under %s lead to %s, which is no address of this host; with a proxy before it, that is as it should be", h.Domain, strings.Join(addresses, ", ")), record)
		}
		return ok("*.%s leads to %s", h.Domain, strings.Join(addresses, ", "))
	}
}

// ours tells whether one of the addresses is this host's.
func ours(addresses []string) bool {
	mine, _ := net.InterfaceAddrs() // without, none is
	for _, a := range mine {
		if network, is := a.(*net.IPNet); is {
			for _, one := range addresses {
				if ip := net.ParseIP(one); ip != nil && ip.Equal(network.IP) {
					return true
				}
			}
		}
	}
	return false
}

// firstAddress is one of this host that others may reach.
func firstAddress() string {
	mine, _ := net.InterfaceAddrs()
	for _, a := range mine {
		if network, is := a.(*net.IPNet); is && network.IP.IsGlobalUnicast() && network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	return "192.0.2.1"
}
