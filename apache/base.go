package apache

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"text/template/parse"
)

// moduleDir is where Debian's packages put modules.
const moduleDir = "/usr/lib/apache2/modules"

// modules are those that the virtual hosts use, each after what it needs.
// Debian's Apache has log_config built in.
var (
	modules = []string{
		"log_config", "alias", "auth_basic", "authn_core", "authn_file", "authz_core", "authz_host", "authz_user",
		"dir", "env", "headers", "lua", "mime", "proxy", "proxy_http", "remoteip", "reqtimeout", "rewrite", "setenvif",
	}
	tlsModules = []string{"socache_shmcb", "ssl", "http2"}
)

// listens is a Listen of the base configuration.
type listens struct {
	On      string // 443, 127.0.0.1:8080
	Debians bool   // ports.conf has it
}

// BaseConfig is the configuration that Apache needs beside the virtual hosts of
// the apps under domain. cfg must have no Problems.
func BaseConfig(cfg Config, domain string) ([]byte, error) {
	base := struct {
		Config
		Domain, ModuleDir string
		Modules           []string
		Listens           []listens
		ListenWithSSL     string
	}{Config: cfg, Domain: domain, ModuleDir: moduleDir, Modules: cfg.Modules()}
	for _, address := range cfg.addresses() {
		on := strings.TrimPrefix(address, "*:")
		_, port, _ := net.SplitHostPort(address)
		if port == "443" && cfg.tls() {
			base.ListenWithSSL = on
			continue
		}
		base.Listens = append(base.Listens, listens{On: on, Debians: port == "80"})
	}
	return execute("base.conf.tmpl", base)
}

// addresses are those that the virtual hosts listen on.
func (c Config) addresses() []string {
	all := []string{c.Listen}
	if c.tls() && c.RedirectListen != "" && c.RedirectListen != c.Listen {
		all = append(all, c.RedirectListen)
	}
	return all
}

// VhostTemplate is the built-in template of an app's virtual host, with all of its
// parts in one text.
func VhostTemplate() (string, error) {
	const name = "vhost.conf.tmpl"
	text := `{{- /* The virtual host of a review app: first its parts, at the end the whole. Name your copy in apache.vhost_template.
What it may use is at "type Vhost" in apache/render.go. */ -}}
`
	for _, file := range append(partsOf(name, nil), name) {
		content, err := templateFiles.ReadFile(file)
		if err != nil {
			return "", err
		}
		// What stands between two definitions would be a part of the whole.
		part := strings.ReplaceAll(strings.TrimSpace(string(content)), "\n{{define ", "\n{{- define ")
		text += fmt.Sprintf("\n{{- /* %s */ -}}\n%s\n", strings.TrimSuffix(file, ".conf.tmpl"), part)
	}
	return text, nil
}

// partsOf adds to files those that define what a template uses, each before what
// uses it.
func partsOf(name string, files []string) []string {
	tree := templates().Lookup(name).Tree
	for _, used := range usedBy(tree.Root) {
		files = partsOf(used, files)
		if file := templates().Lookup(used).ParseName; !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
}

// usedBy lists the templates that a node names.
func usedBy(node parse.Node) []string {
	var used []string
	branches := func(b parse.BranchNode) {
		used = append(used, usedBy(b.List)...)
		if b.ElseList != nil {
			used = append(used, usedBy(b.ElseList)...)
		}
	}
	switch n := node.(type) {
	case *parse.ListNode:
		for _, one := range n.Nodes {
			used = append(used, usedBy(one)...)
		}
	case *parse.TemplateNode:
		used = append(used, n.Name)
	case *parse.IfNode:
		branches(n.BranchNode)
	case *parse.RangeNode:
		branches(n.BranchNode)
	case *parse.WithNode:
		branches(n.BranchNode)
	}
	return used
}
