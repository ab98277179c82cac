package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitlab.com/review-executor/review-executor/internal/hosttest"
	"gitlab.com/review-executor/review-executor/review"
)

var update = flag.Bool("update", false, "rewrite what is generated")

const configDocHead = `# Configuration

The file is ` + "`/etc/review-executor/config.toml`, or what `--config` or `$REVIEW_EXECUTOR_CONFIG`" + ` names. It is TOML. An unknown key is an error, and
all problems are reported at once. Only ` + "`domain`" + ` must be set.

This page is generated from the doc comments of the configuration's types: ` + "`go test ./cmd/review-executor -run ConfigurationDoc -update`" + `.

`

const projectDocHead = `
## What a project sets

CI variables, under ` + "`variables:`" + ` in the deploying job or in the project's CI/CD settings; the inputs of
[ci-templates/review-app.yml](../ci-templates/review-app.yml) set them too. An empty value is as good as none.

| variable | meaning |
|---|---|
`

const projectDocTail = `
The app gets, in its environment, what ` + "`REVIEW_ENV_<NAME>`" + ` sets and

| variable | meaning |
|---|---|
| ` + "`PORT`" + ` | the port it must listen on, on all addresses |
| ` + "`REVIEW_URL`" + ` | where a browser finds it |
| ` + "`REVIEW_HOST`" + ` | its host name |
| ` + "`REVIEW_SHA`" + ` | the commit |
| ` + "`REVIEW_REF`" + ` | the branch |

The job gets ` + "`review.env`" + ` in its project's directory, with ` + "`REVIEW_URL` and `REVIEW_HOST`" + `, for ` + "`artifacts:reports:dotenv`" + `.
`

// TestConfigurationDoc_IsCurrent says when docs/configuration.md is stale.
func TestConfigurationDoc_IsCurrent(t *testing.T) {
	doc := configDocHead
	doc += section("", reflect.ValueOf(defaultSettings()))
	doc += projectDocHead + projectVariables(t) + projectDocTail

	file := filepath.Join(hosttest.Root(), "docs", "configuration.md")
	if *update {
		if err := os.WriteFile(file, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(doc, string(got)); diff != "" {
		t.Errorf("docs/configuration.md is stale; -update rewrites it:\n%s", diff)
	}
}

// section documents the keys of a struct, and then those of the structs in it.
func section(name string, v reflect.Value) string {
	doc := "| key | default | meaning |\n|---|---|---|\n"
	below := ""
	comments := fieldComments(v.Type())
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		key, comment := field.Tag.Get("toml"), comments[field.Name]
		switch {
		case field.Type.Kind() == reflect.Struct && field.Type.Name() != "Reload":
			below += fmt.Sprintf("\n## `[%s]`\n\n%s\n\n%s", key, comment, section(key, v.Field(i)))
		case field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct:
			below += fmt.Sprintf("\n## `[[%s]]`\n\n%s\n\n%s", key, comment, section(key, reflect.Zero(field.Type.Elem())))
		default:
			doc += fmt.Sprintf("| `%s` | %s | %s |\n", key, defaultText(name, key, v.Field(i)), comment)
		}
	}
	return doc + below
}

func defaultText(section, key string, v reflect.Value) string {
	value := v.Interface()
	switch {
	case key == "socket":
		return "`unix://$XDG_RUNTIME_DIR/podman/podman.sock`"
	case key == "reload":
		return "`\"systemd\"`"
	case section == "projects" && key == "path" || key == "domain":
		return "must be set"
	case v.IsZero():
		return ""
	case v.Type() == reflect.TypeOf(time.Duration(0)):
		return fmt.Sprintf("`%q`", strings.Replace(value.(time.Duration).String(), "m0s", "m", 1))
	case v.Kind() == reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, fmt.Sprintf("%q", v.Index(i)))
		}
		return "`[" + strings.Join(items, ", ") + "]`"
	case v.Kind() == reflect.String || v.Type() == reflect.TypeOf(review.Bytes(0)) || v.Type() == reflect.TypeOf(review.SleepAfter(0)):
		return fmt.Sprintf("`%q`", fmt.Sprint(value))
	default:
		return fmt.Sprintf("`%v`", value)
	}
}

// fieldComments reads the doc comments of a struct of ours, by field.
func fieldComments(of reflect.Type) map[string]string {
	dir := filepath.Join(hosttest.Root(), strings.TrimPrefix(of.PkgPath(), "gitlab.com/review-executor/review-executor"))
	if of.PkgPath() == "main" || strings.HasSuffix(of.PkgPath(), ".test") {
		dir = "."
	}
	comments := map[string]string{}
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			panic(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != of.Name() {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				text := field.Doc.Text() + field.Comment.Text()
				for _, name := range field.Names {
					comments[name.Name] = strings.ReplaceAll(strings.TrimSpace(text), "\n", " ")
				}
			}
			return false
		})
	}
	return comments
}

var settingComment = regexp.MustCompile(`^(REVIEW_[A-Z_]+(?:<NAME>)?)[;,] (.*)$`)

// projectVariables documents review.Settings.
func projectVariables(t *testing.T) string {
	doc := ""
	settings := reflect.TypeOf(review.Settings{})
	comments := fieldComments(settings)
	for i := range settings.NumField() {
		name := settings.Field(i).Name
		found := settingComment.FindStringSubmatch(comments[name])
		if found == nil {
			t.Fatalf("the comment of Settings.%s names no variable: %q", name, comments[name])
		}
		doc += fmt.Sprintf("| `%s` | %s |\n", found[1], found[2])
	}
	return doc
}
