package review

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// Isolation is what stands between a container, the host and the other
// containers. Jobs, their services and apps all get it; nobody's YAML changes it.
type Isolation struct {
	// User IDs of its own for every job and app, where the host has enough subordinate IDs: root in a container is then nobody on the host, and nobody in another container.
	UserNamespace bool `toml:"user_namespace"`
	// Setuid programs such as sudo give nothing.
	NoNewPrivileges bool `toml:"no_new_privileges"`
	// Capabilities that root has in a container. All others are dropped.
	Capabilities []string `toml:"capabilities"`
	// Memory that one container may use: "512MiB", "4GiB". "0" is no limit.
	Memory Bytes `toml:"memory"`
	// Processors that one container may use: 1.5. 0 is no limit.
	CPUs float64 `toml:"cpus"`
	// Processes and threads that one container may have. 0 is no limit.
	PIDs int64 `toml:"pids"`
}

// IsolationDefaults suit what builds and runs web projects: package managers
// and servers that begin as root and become somebody else.
func IsolationDefaults() Isolation {
	return Isolation{
		UserNamespace:   true,
		NoNewPrivileges: true,
		Capabilities:    []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"},
		Memory:          4 << 30,
		CPUs:            4,
		PIDs:            4096,
	}
}

// Problems lists everything that is wrong, by key.
func (i Isolation) Problems() []error {
	var problems []error
	for _, name := range i.Capabilities {
		if !isCapability(name) {
			problems = append(problems, fmt.Errorf("isolation.capabilities: %q is no capability such as NET_RAW", name))
		}
	}
	if i.Memory != 0 && i.Memory < minMemory {
		problems = append(problems, fmt.Errorf("isolation.memory: %s is too little to start anything; 0 is no limit", i.Memory))
	}
	if i.CPUs < 0 || i.CPUs > 4096 {
		problems = append(problems, fmt.Errorf("isolation.cpus: must be 0 or more, not %v", i.CPUs))
	}
	if i.PIDs < 0 || (i.PIDs > 0 && i.PIDs < 16) {
		problems = append(problems, fmt.Errorf("isolation.pids: must be at least 16, or 0 for no limit, not %d", i.PIDs))
	}
	return problems
}

// minMemory is what it takes to start anything.
const minMemory = 16 << 20

// isCapability tells whether name looks like one, without "CAP_": the container
// engine knows which ones there are.
func isCapability(name string) bool {
	return name != "" && !strings.HasPrefix(name, "CAP_") &&
		!slices.ContainsFunc([]rune(name), func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') })
}

// Bytes is an amount of memory or disk: "4GiB".
type Bytes int64

var errBytes = errors.New(`is no amount such as "512MiB" or "4GiB"`)

// UnmarshalText reads 512MiB, 4GB or a number of bytes.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > 1<<62 {
		return fmt.Errorf("%q %w", Printable(string(text), 40), errBytes)
	}
	*b = Bytes(n)
	return nil
}

// UnmarshalJSON reads the number of bytes that a record has.
func (b *Bytes) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	*b = Bytes(n)
	return err
}

func (b Bytes) String() string {
	return strings.ReplaceAll(humanize.IBytes(uint64(max(b, 0))), " ", "")
} //nolint:gosec // never negative
