package podman

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/containers/podman/v5/pkg/api/handlers"
	"github.com/containers/podman/v5/pkg/bindings/containers"
	"github.com/containers/podman/v5/pkg/copy"
	"github.com/docker/docker/api/types/container"

	"gitlab.com/review-executor/review-executor/review"
)

// Exec runs command in the container, as user if that is not empty, with the
// three streams as they come, and returns its exit code.
func (p *Podman) Exec(ctx context.Context, id, user string, command []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	session, err := containers.ExecCreate(p.call(ctx), id, &handlers.ExecCreateConfig{ExecOptions: container.ExecOptions{
		User:         user,
		Cmd:          command,
		AttachStdin:  true,
		AttachStdout: true,
		AttachStderr: true,
	}})
	if err != nil {
		return 0, p.explain(err, "exec in container %s", id)
	}
	// Attaching changes the client that it uses for good, so it gets its own.
	attached, err := Connect(ctx, p.socket)
	if err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() {
		options := new(containers.ExecStartAndAttachOptions).
			WithInputStream(*bufio.NewReader(stdin)).WithAttachInput(true).
			WithOutputStream(stdout).WithAttachOutput(true).
			WithErrorStream(stderr).WithAttachError(true)
		done <- containers.ExecStartAndAttach(attached.call(ctx), session, options)
	}()
	select {
	case err = <-done:
	case <-ctx.Done(): // the attached stream does not end with the context
		err = ctx.Err()
	}
	if ctx.Err() != nil {
		return 0, p.explain(ctx.Err(), "exec in container %s", id)
	}
	if status(err) != 0 { // Podman has refused, and no command has run
		return 0, p.execRefused(id, user, err)
	}
	// A command that ends without reading all of stdin breaks the stream
	// (Podman 4.3). It has ended all the same.
	ended, inspect := containers.ExecInspect(p.call(ctx), session, nil)
	if inspect != nil || (err != nil && ended.Running) {
		return 0, p.explain(errors.Join(err, inspect), "exec in container %s", id)
	}
	return ended.ExitCode, nil
}

// execRefused tells a user that the image does not have from any other refusal.
func (p *Podman) execRefused(id, user string, err error) error {
	if noUser.MatchString(err.Error()) {
		return &review.Failure{
			Kind:  review.Build,
			What:  fmt.Sprintf("nothing can run as user %q in container %s", review.Printable(user, 80), id),
			Cause: err,
			Hint:  `name a user that the image has, or its number, under "image: docker: user:"`,
		}
	}
	return p.explain(err, "exec in container %s", id)
}

// Has tells whether the container has a file, directory or link at the path.
func (p *Podman) Has(ctx context.Context, id, file string) (bool, error) {
	found, err := containers.Stat(p.call(ctx), id, file)
	if found != nil {
		return true, nil // with an error if it is a link to nowhere
	}
	if errors.Is(err, copy.ErrENOENT) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, p.explain(err, "look for %s in container %s", file, id)
}

// Tar streams a directory of the container; the entries are below a top
// directory of its name.
func (p *Podman) Tar(ctx context.Context, id, dir string) (io.ReadCloser, error) {
	r, w := io.Pipe()
	send, err := containers.CopyToArchive(p.call(ctx), id, dir, w)
	if err != nil {
		return nil, p.explain(err, "read %s in container %s", dir, id)
	}
	go func() { w.CloseWithError(send()) }()
	return r, nil
}

// WriteFile writes a file of the container, readable by everybody there.
func (p *Podman) WriteFile(ctx context.Context, id, file string, data []byte) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := w.WriteHeader(&tar.Header{Name: path.Base(file), Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return err
	}
	receive, err := containers.CopyFromArchive(p.call(ctx), id, path.Dir(file), &archive)
	if err == nil {
		err = receive()
	}
	return p.explain(err, "write %s in container %s", file, id)
}
