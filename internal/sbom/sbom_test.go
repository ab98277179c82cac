package main

import (
	"bytes"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// TestSBOM_ListsWhatTheProgramWasBuiltFrom reads this test's own program, which is
// linked with the module that it is decoded with here.
func TestSBOM_ListsWhatTheProgramWasBuiltFrom(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1767225600")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run(out, program, "1.2.3+4"); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("the same program makes another text")
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(&first, cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if bom.Metadata.Timestamp != "2026-01-01T00:00:00Z" || bom.Metadata.Component.Version != "1.2.3+4" {
		t.Errorf("it is of %s, version %s", bom.Metadata.Timestamp, bom.Metadata.Component.Version)
	}
	found := map[string]cdx.Component{}
	for _, c := range *bom.Components {
		found[c.Name] = c
	}
	library := found["github.com/CycloneDX/cyclonedx-go"]
	if !strings.HasPrefix(library.PackageURL, "pkg:golang/github.com/CycloneDX/cyclonedx-go@v") || library.Hashes == nil || len((*library.Hashes)[0].Value) != 64 {
		t.Errorf("the module that decodes this is listed as %+v", library)
	}
	if _, there := found["std"]; !there {
		t.Error("Go's own library is not listed")
	}
	if needed := (*bom.Dependencies)[0].Dependencies; len(*needed) != len(*bom.Components) {
		t.Errorf("the program needs %d of %d components", len(*needed), len(*bom.Components))
	}
}

func TestSBOM_ListsWhatReplacedAModule(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.0", Deps: []*debug.Module{{Path: "example.org/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/new", Version: "v2.0.0+incompatible"}}}}
	got := (*newBOM(info, "1").Components)[1]
	if got.PackageURL != "pkg:golang/example.org/new@v2.0.0%2Bincompatible" || got.Hashes != nil {
		t.Errorf("%+v", got)
	}
}

func TestSBOM_OfWhatIsNoProgramIsAnError(t *testing.T) {
	if err := run(&bytes.Buffer{}, "sbom_test.go", "1"); err == nil {
		t.Error("it succeeded")
	}
}
