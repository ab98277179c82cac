package doctor

import (
	"os/user"
	"strconv"
	"time"
)

// Host is what the checks are to look at.
type Host struct {
	Program    string // the path of review-executor, for commands
	ConfigFile string
	Problems   []error // of the configuration; nil: none
	Missing    bool    // there is no configuration
	User       User
	Root       bool // who asks is root
	StateDir   string
	Domain     string
	Now        time.Time
}

// own is review-executor's command line, with this host's configuration.
func (h Host) own(argv ...string) []string {
	words := []string{h.Program}
	if h.ConfigFile != DefaultConfigFile {
		words = append(words, "--config", h.ConfigFile)
	}
	return append(words, argv...)
}

// asRunner is for root's shell: a command of ours as the runner's user.
func (h Host) asRunner(argv ...string) string { return h.User.Command(h.own(argv...)...) }

// DefaultConfigFile needs no --config.
const DefaultConfigFile = "/etc/review-executor/config.toml"

// again is the command that looks once more.
func (h Host) again() string { return command(h.own("doctor")...) }

func lookupGroups(uid uint32) ([]string, error) {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return nil, err
	}
	return u.GroupIds()
}
