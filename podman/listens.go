package podman

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
)

// Listens tells whether a process in the container accepts connections of
// others on one of the TCP ports. It looks at the kernel's table, so it needs
// nothing of the image; of a Podman on another host it believes the best.
func (p *Podman) Listens(ctx context.Context, id string, ports []uint16) (bool, error) {
	if !strings.HasPrefix(p.socket, "unix://") {
		return true, nil
	}
	state, err := p.State(ctx, id)
	if err != nil || state.PID == 0 {
		return false, err
	}
	table, err := procfs.NewFS(fmt.Sprintf("/proc/%d", state.PID))
	if err != nil {
		return false, nil //nolint:nilerr // it has just ended
	}
	tcp, _ := table.NetTCP()   // as above
	tcp6, _ := table.NetTCP6() // there may be no IPv6
	for _, socket := range append(tcp, tcp6...) {
		if socket.St == stateListen && !socket.LocalAddr.IsLoopback() && slices.Contains(ports, uint16(socket.LocalPort)) { //nolint:gosec // a port
			return true, nil
		}
	}
	return false, nil
}

// stateListen is TCP_LISTEN of the kernel.
const stateListen = 0x0A
