package executor

import (
	"os"
	"slices"
	"strings"
)

// detectShell finds bash, else sh, in the places where gitlab-runner looks for
// them (shells/bash.go, BashDetectShellScript), and becomes it.
const detectShell = `for shell in /usr/local/bin/bash /usr/bin/bash /bin/bash /usr/local/bin/sh /usr/bin/sh /bin/sh /busybox/sh; do
	if [ -x "$shell" ]; then exec "$shell"; fi
done
echo "this image has no shell" >&2
exit 1`

// waitForStages is the first process of a container. It lives as long as its
// stdin, which never ends, and takes in the orphans of scripts; on killScripts it
// kills every other process, in one system call and without a process of its
// own: a script that forks without end has left none. It needs nothing of the
// image but the shell.
const waitForStages = `trap 'kill -KILL -1' USR1
exec 3<&0
while read line <&3 & wait $!; [ $? -gt 128 ]; do wait $!; done`

const killScripts = "USR1"

var (
	waitAsJob = []string{"sh", "-c", waitForStages}
	// The runner calls "gitlab-runner" for cache and artifacts; the official
	// helper image has it under another name. The job may be any user, so what is
	// made for it is everybody's, as with the docker executor.
	waitAsHelper = []string{"sh", "-c", `chmod 777 ` + BuildsDir + ` ` + CacheDir + ` 2>/dev/null
command -v gitlab-runner >/dev/null 2>&1 ||
	{ helper=$(command -v gitlab-runner-helper) && ln -s "$helper" /usr/local/bin/gitlab-runner; }
` + waitForStages}
	helperShell = []string{"sh", "-c", "umask 0000\n" + detectShell}
)

// jobShell runs a script behind the image's entrypoint, as the docker executor
// does.
func jobShell(entrypoint []string) []string {
	return append(slices.Clone(entrypoint), "sh", "-c", detectShell)
}

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
