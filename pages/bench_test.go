package pages_test

import (
	"testing"

	"gitlab.com/review-executor/review-executor/pages"
	"gitlab.com/review-executor/review-executor/review"
)

// benchmarked are the pages of a thousand apps, as they have just been written.
func benchmarked(b *testing.B) (*pages.Pages, review.Overview) {
	b.Helper()
	dir, o := b.TempDir(), many(1000)
	p := pages.New(dir+"/www", domain, dir+"/review.prom")
	if err := p.Write(o); err != nil {
		b.Fatal(err)
	}
	return p, o
}

// BenchmarkWrite_1000Unchanged is a write that a deploy waits for, of which
// nothing is new.
func BenchmarkWrite_1000Unchanged(b *testing.B) {
	p, o := benchmarked(b)
	for b.Loop() {
		if err := p.Write(o); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWrite_1000OneChanged is one after a deploy.
func BenchmarkWrite_1000OneChanged(b *testing.B) {
	p, o := benchmarked(b)
	for b.Loop() {
		o.Apps[500].Live.Job++
		if err := p.Write(o); err != nil {
			b.Fatal(err)
		}
	}
}
