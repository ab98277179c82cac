package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"sync"
	"time"

	"gitlab.com/review-executor/review-executor/review"
)

//go:embed *.html.tmpl *.css *.js
var sources embed.FS

// templates are parsed when the first page is written: most calls of the program
// write none.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"short":  func(text string) string { return review.Printable(text, 120) },
		"long":   func(text string) string { return review.Printable(text, 400) },
		"commit": func(sha string) string { return review.Printable(fmt.Sprintf("%.7s", sha), 7) },
		"time":   timeElement,
		"apps":   func(n int) string { return plural(n, "app") },
	}).ParseFS(sources, "*.html.tmpl"))
})

// timeElement says a time to programs and, without a script, to people.
func timeElement(t time.Time) template.HTML {
	return template.HTML(t.UTC().Format("<time datetime=\"2006-01-02T15:04:05Z\">2006-01-02 15:04 UTC</time>"))
}

// indexHead and stateHead are the policy, the style and the script of a page. The
// policy allows just these, by their hashes, and nothing from anywhere.
var (
	indexHead = sync.OnceValue(func() template.HTML { return head(source("common.css")+source("index.css"), source("index.js")) })
	stateHead = sync.OnceValue(func() template.HTML { return head(source("common.css")+source("state.css"), "") })
)

func head(style, script string) template.HTML {
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + hash(style)
	tags := "<style>" + style + "</style>"
	if script != "" {
		policy += "; script-src " + hash(script)
		tags += "\n<script type=\"module\">" + script + "</script>"
	}
	return template.HTML(`<meta http-equiv="Content-Security-Policy" content="` + policy + "\">\n" + tags)
}

// hash names an inline style or script in a policy (CSP level 2).
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func source(name string) string {
	text, err := sources.ReadFile(name)
	if err != nil {
		panic(err) // it is in the program
	}
	return string(text)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
