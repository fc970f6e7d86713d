package main

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"

	"github.com/resilgen/resilgen/generator"
	"github.com/resilgen/resilgen/generator/policy"
)

// The parts of SARIF 2.1.0 that code scanning reads.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
		Columns string        `json:"columnKind"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		URI     string      `json:"informationUri"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string         `json:"id"`
		Short   sarifText      `json:"shortDescription"`
		Full    sarifText      `json:"fullDescription"`
		Help    sarifText      `json:"help"`
		Default sarifRuleLevel `json:"defaultConfiguration"`
	}
	sarifRuleLevel struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex *int            `json:"ruleIndex,omitempty"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn"`
	}
)

// reading is the rule of what has no number: policies that cannot be read.
const reading = "policy"

// writeSARIF prints the findings with all rules, so that a viewer can explain
// them.
func writeSARIF(w io.Writer, found policy.Errors) error {
	run := sarifRun{Columns: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "resilgen", Version: toolVersion(), URI: "https://github.com/resilgen/resilgen"}
	levels := [...]string{"error", "error", "warning", "note"}
	index := map[string]int{}
	add := func(id, doc, why, help, level string) {
		index[id] = len(run.Tool.Driver.Rules)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{id, sarifText{doc}, sarifText{why}, sarifText{help}, sarifRuleLevel{level}})
	}
	for _, r := range generator.Rules() {
		add(r.ID, r.Doc, r.Why, r.Explain(), levels[r.Severity])
	}
	add(reading, "policies can be read", "What cannot be read guards nothing.", "docs/policy.md is the reference of the language.", "error")
	for _, e := range found {
		run.Results = append(run.Results, sarifOf(e, index))
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run},
	})
}

func sarifOf(e *policy.Error, index map[string]int) sarifResult {
	id := e.ID
	if id == "" {
		id = reading
	}
	at := index[id]
	text := e.Msg
	if e.Key != "" {
		text = e.Key + ": " + text
	}
	path := url.URL{Path: filepath.ToSlash(e.Pos.File)}
	place := sarifPhysical{Artifact: sarifArtifact{path.String()}}
	if e.Pos.IsValid() {
		place.Region = &sarifRegion{e.Pos.Line, e.Pos.Col}
	}
	level := severity(e)
	if level == "info" {
		level = "note"
	}
	return sarifResult{RuleID: id, RuleIndex: &at, Level: level, Message: sarifText{text}, Locations: []sarifLocation{{place}}}
}
