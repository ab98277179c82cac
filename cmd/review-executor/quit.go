package main

import (
	"os/signal"
	"syscall"
)

// outliveQuit keeps SIGQUIT from ending a stage, and what it starts. gitlab-runner takes it as
// "let the jobs end": a service with KillSignal=SIGQUIT, as GitLab advises, sends it to all of its
// processes.
func outliveQuit() { signal.Ignore(syscall.SIGQUIT) }
