package executor

import (
	"os"
	"strings"
)

// detectShell finds bash, else sh, in the places where gitlab-runner looks for
// them (shells/bash.go, BashDetectShellScript), and becomes it.
const detectShell = `for shell in /usr/local/bin/bash /usr/bin/bash /bin/bash /usr/local/bin/sh /usr/bin/sh /bin/sh /busybox/sh; do
	if [ -x "$shell" ]; then exec "$shell"; fi
done
echo "this image has no shell" >&2
exit 1`

var (
	jobShell = []string{"sh", "-c", detectShell}
	// The helper runs as root and the job as whom it likes: what the helper
	// makes must be everybody's, as with the docker executor.
	helperShell = []string{"sh", "-c", "umask 0000\n" + detectShell}

	// A container lives while its shell reads from a stdin that never ends, so
	// it needs nothing of the image but the shell.
	waitForStages = []string{"sh"}
	// The runner calls "gitlab-runner" for cache and artifacts; the official
	// helper image has it under another name.
	waitAsHelper = []string{"sh", "-c", `command -v gitlab-runner >/dev/null 2>&1 ||
	{ helper=$(command -v gitlab-runner-helper) && ln -s "$helper" /usr/local/bin/gitlab-runner; }
exec sh`}
)

// expandVariables replaces $NAME and ${NAME}. A name that is not set becomes
// nothing; $$ is a dollar sign.
func expandVariables(text string, vars map[string]string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	return os.Expand(text, func(name string) string {
		if name == "$" {
			return "$"
		}
		return vars[name]
	})
}
