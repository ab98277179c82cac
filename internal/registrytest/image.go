package registrytest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
)

const (
	manifestType = "application/vnd.docker.distribution.manifest.v2+json"
	listType     = "application/vnd.docker.distribution.manifest.list.v2+json"
	configType   = "application/vnd.docker.container.image.v1+json"
	layerType    = "application/vnd.docker.image.rootfs.diff.tar"
)

// Image is an image to push: busybox and sh, in Docker's format.
type Image struct {
	Arch   string // "": the host's
	Config Config
}

// Config is the part of an image's configuration that tests set.
type Config struct {
	User         string              `json:",omitempty"`
	Entrypoint   []string            `json:",omitempty"`
	Cmd          []string            `json:",omitempty"`
	Labels       map[string]string   `json:",omitempty"`
	ExposedPorts map[string]struct{} `json:",omitempty"`
	Healthcheck  *Healthcheck        `json:",omitempty"`
}

// Healthcheck is an image's HEALTHCHECK: "CMD-SHELL" and a command.
type Healthcheck struct{ Test []string }

type object = map[string]any

// Push stores the image under a name like shop:1 and returns its digest.
// Several images become a list, one for each processor.
func (r *Registry) Push(t testing.TB, name string, images ...Image) (digest string) {
	t.Helper()
	repository, tag, _ := strings.Cut(name, ":")
	var list []object
	for _, image := range images {
		manifest := r.manifest(t, repository, image)
		entry := r.put(t, repository, digestOf(manifest), manifestType, manifest)
		entry["platform"] = object{"os": "linux", "architecture": image.arch()}
		list = append(list, entry)
		digest = r.put(t, repository, tag, manifestType, manifest)["digest"].(string)
	}
	if len(images) > 1 {
		digest = r.put(t, repository, tag, listType, encode(t, object{"schemaVersion": 2, "mediaType": listType, "manifests": list}))["digest"].(string)
	}
	return digest
}

func (i Image) arch() string {
	if i.Arch == "" {
		return runtime.GOARCH
	}
	return i.Arch
}

// manifest uploads the image's layer and configuration and returns what names them.
func (r *Registry) manifest(t testing.TB, repository string, image Image) []byte {
	t.Helper()
	layer := busybox(t)
	config := encode(t, object{
		"os": "linux", "architecture": image.arch(), "config": image.Config,
		"rootfs": object{"type": "layers", "diff_ids": []string{digestOf(layer)}},
	})
	return encode(t, object{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": r.put(t, repository, "", configType, config),
		"layers": []object{r.put(t, repository, "", layerType, layer)},
	})
}

// put stores a manifest under a tag or, without one, a blob, past what Fail and
// Protect ask, and returns its descriptor.
func (r *Registry) put(t testing.TB, repository, tag, mediaType string, data []byte) object {
	t.Helper()
	method, target := http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+digestOf(data)
	if tag != "" {
		method, target = http.MethodPut, "/v2/"+repository+"/manifests/"+tag
	}
	req := httptest.NewRequest(method, target, bytes.NewReader(data))
	req.Header.Set("Content-Type", mediaType)
	answer := httptest.NewRecorder()
	r.store.ServeHTTP(answer, req)
	if answer.Code != http.StatusCreated {
		t.Fatalf("%s %s: %d %s", method, target, answer.Code, answer.Body)
	}
	return object{"mediaType": mediaType, "digest": digestOf(data), "size": len(data)}
}

// busybox is a layer with the host's, as scripts/images.sh makes it.
func busybox(t testing.TB) []byte {
	t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	add := func(header tar.Header, data []byte) {
		header.Size = int64(len(data))
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	add(tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	add(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, program)
	for _, applet := range []string{"sh", "cat", "sleep", "httpd"} {
		add(tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return layer.Bytes()
}

func encode(t testing.TB, value object) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
