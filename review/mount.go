package review

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
)

// What RUN --mount may ask for. Anything else may be a way to change mounts or
// owners of files on the host.
var (
	mountTypes   = []string{"bind", "cache", "tmpfs", "secret", "ssh"}
	mountOptions = []string{
		"type", "target", "dst", "destination", "source", "src", "from", "id", "sharing", "ro", "readonly", "rw", "readwrite",
		"mode", "uid", "gid", "size", "required", "env", "z", "Z", "noexec", "nosuid", "nodev",
	}
	notInCacheID = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
)

// mount reads the value of a RUN --mount=.
func (r *reader) mount(value string) ([]part, error) {
	value, err := r.vars.expand(value)
	if err != nil {
		return nil, err
	}
	if !plainWord.MatchString(value) {
		return nil, refused("its --mount is no plain text", "use neither quotes nor spaces there")
	}
	options := strings.Split(value, ",")
	values, err := mountValues(options)
	if err != nil {
		return nil, err
	}
	parts := []part{{text: "type=" + values["type"]}}
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		switch {
		case key == "type" || key == "id" && values["type"] == "cache":
		case key == "from":
			from, err := r.source(value)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part{text: ",from="}, from)
		default:
			parts = append(parts, part{text: "," + option})
		}
	}
	if values["type"] == "cache" {
		parts = append(parts, part{text: ",id="}, part{project: true}, part{text: "-" + cacheID(values)})
	}
	return parts, nil
}

func mountValues(options []string) (map[string]string, error) {
	values := map[string]string{}
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		if _, twice := values[key]; twice || !slices.Contains(mountOptions, key) {
			return nil, refusedFlag("--mount=…," + option)
		}
		values[key] = value
	}
	if values["type"] == "" {
		values["type"] = "bind"
	}
	if !slices.Contains(mountTypes, values["type"]) {
		return nil, refusedFlag("--mount=type=" + values["type"])
	}
	return values, nil
}

// cacheID names a cache within its project: by what its author calls it, or by
// where it is mounted. The engine makes a directory of the name.
func cacheID(values map[string]string) string {
	id := values["id"]
	for _, key := range []string{"target", "dst", "destination"} {
		if id == "" {
			id = values[key]
		}
	}
	plain := notInCacheID.ReplaceAllString(id, "-")
	if plain == id && len(id) <= 60 {
		return id
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(id)) // never fails
	return fmt.Sprintf("%.40s-%x", strings.Trim(plain, "-"), sum.Sum64())
}
