package review

import (
	"net/netip"
	"strconv"
	"strings"
)

// port is the one that the app listens on inside its container.
func (d *deploy) port(image Image) (uint16, error) {
	if port := d.next.Port; port != 0 {
		return port, nil
	}
	if len(image.Ports) == 1 {
		return image.Ports[0], nil
	}
	what := "the image exposes no port"
	if len(image.Ports) > 1 {
		what = "the image exposes several ports: " + JoinPorts(image.Ports)
	}
	return 0, &Failure{
		Kind: Build,
		What: what,
		Hint: `set REVIEW_PORT under "variables:" in this job, or EXPOSE one port in the Containerfile`,
	}
}

// hostPort is the port of a backend, or 0.
func hostPort(backend string) uint16 {
	address, err := netip.ParseAddrPort(backend)
	if err != nil {
		return 0
	}
	return address.Port()
}

// JoinPorts lists ports as a sentence has them: 80, 443.
func JoinPorts(ports []uint16) string {
	text := make([]string, len(ports))
	for i, port := range ports {
		text[i] = strconv.Itoa(int(port))
	}
	return strings.Join(text, ", ")
}
