package main

import (
	"encoding/base64"
	"encoding/hex"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// newBOM lists the program's modules and Go's own library. Which module needs which
// other is not in a program: all are needed by the program.
func newBOM(info *debug.BuildInfo, version string) *cdx.BOM {
	main := component(cdx.ComponentTypeApplication, info.Main.Path, version)
	components := []cdx.Component{component(cdx.ComponentTypeLibrary, "std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		c := component(cdx.ComponentTypeLibrary, module.Path, module.Version)
		if sum := sha256Of(module.Sum); sum != "" {
			c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sum}}
		}
		components = append(components, c)
	}
	var needed []string
	for _, c := range components {
		needed = append(needed, c.BOMRef)
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &main, Properties: settings(info)}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &needed}}
	return bom
}

func component(kind cdx.ComponentType, path, version string) cdx.Component {
	purl := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	return cdx.Component{Type: kind, BOMRef: purl, Name: path, Version: version, PackageURL: purl}
}

// sha256Of is the hash of a line of go.sum ("h1:" and base64) in hexadecimal digits.
func sha256Of(sum string) string {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:"))
	if err != nil {
		return ""
	}
	return hex.EncodeToString(raw)
}

// settings are how the program was built: architecture, tags, flags.
func settings(info *debug.BuildInfo) *[]cdx.Property {
	var properties []cdx.Property
	for _, s := range info.Settings {
		properties = append(properties, cdx.Property{Name: "golang:build:" + strings.TrimPrefix(s.Key, "-"), Value: s.Value})
	}
	return &properties
}
