// What Go and Ollama make of templates: one JSON request a line, one answer a line.
//
// Built inside a checkout of Ollama, as tests/chat/go/record.py says; no test needs it.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"text/template"

	"github.com/ollama/ollama/api"
	ollama "github.com/ollama/ollama/template"
	"github.com/ollama/ollama/thinking"
	"github.com/ollama/ollama/tools"
)

type request struct {
	Template string          `json:"template"`
	Data     json.RawMessage `json:"data"` // of the engine alone
	Messages []api.Message   `json:"messages"`
	Tools    api.Tools       `json:"tools"`
	Prompt   string          `json:"prompt"`
	Suffix   string          `json:"suffix"`
	Think    *api.ThinkValue `json:"think"`
}

type answer struct {
	Text     *string  `json:"text,omitempty"`
	Error    string   `json:"error,omitempty"`
	Vars     []string `json:"vars,omitempty"`
	CallTag  string   `json:"call_tag,omitempty"`
	Thinking []string `json:"thinking,omitempty"`
}

// Item is a struct for the engine's tests.
type Item struct {
	Name  string
	N     int
	Tags  []string
	Inner Inner
}

// Inner is a struct in a struct.
type Inner struct{ Name string }

// Shown is a value that says how it is printed.
type Shown struct{ A int }

func (s Shown) String() string        { return fmt.Sprintf("shown-%d", s.A) }
func (s Shown) Double() int           { return 2 * s.A }
func (s Shown) Fail() (string, error) { return "", fmt.Errorf("it fails") }

// typed turns {"$int": 1} and the like into Go values; the rest is as JSON has it.
func typed(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = typed(v[i])
		}
	case map[string]any:
		if n, ok := v["$int"]; ok {
			return int(n.(float64))
		}
		if _, ok := v["$nil_strings"]; ok {
			return []string(nil)
		}
		if list, ok := v["$strings"]; ok {
			var out []string
			for _, one := range list.([]any) {
				out = append(out, one.(string))
			}
			return out
		}
		if list, ok := v["$ints"]; ok {
			var out []int
			for _, one := range list.([]any) {
				out = append(out, int(one.(float64)))
			}
			return out
		}
		if one, ok := v["$item"]; ok {
			var item Item
			bts, _ := json.Marshal(one)
			if err := json.Unmarshal(bts, &item); err != nil {
				panic(err)
			}
			return item
		}
		if one, ok := v["$shown"]; ok {
			return Shown{int(one.(float64))}
		}
		for key := range v {
			v[key] = typed(v[key])
		}
	}
	return v
}

func engine(r request) (out answer) {
	var data any
	if err := json.Unmarshal(r.Data, &data); err != nil {
		panic(err)
	}
	t, err := template.New("").Option("missingkey=zero").Funcs(template.FuncMap{
		"json": func(v any) string { b, _ := json.Marshal(v); return string(b) },
	}).Parse(r.Template)
	if err != nil {
		out.Error = err.Error()
		return
	}
	var b bytes.Buffer
	if err := t.Execute(&b, typed(data)); err != nil {
		out.Error = err.Error()
		return
	}
	text := b.String()
	out.Text = &text
	return
}

func whole(r request) (out answer) {
	defer func() {
		if caught := recover(); caught != nil {
			out.Error = fmt.Sprint("panic: ", caught)
		}
	}()
	t, err := ollama.Parse(r.Template)
	if err != nil {
		out.Error = err.Error()
		return
	}
	out.Vars, _ = t.Vars()
	out.CallTag = tools.LocalkitTag(t.Template)
	open, closing := thinking.InferTags(t.Template)
	out.Thinking = []string{open, closing}
	values := ollama.Values{
		Messages: r.Messages, Tools: r.Tools, Prompt: r.Prompt, Suffix: r.Suffix,
		IsThinkSet: r.Think != nil,
	}
	if r.Think != nil {
		values.Think, values.ThinkLevel = r.Think.Bool(), r.Think.String()
	}
	var b bytes.Buffer
	if err := t.Execute(&b, values); err != nil {
		out.Error = err.Error()
		return
	}
	text := b.String()
	out.Text = &text
	return
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	write := json.NewEncoder(os.Stdout)
	write.SetEscapeHTML(false)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		var a answer
		if r.Data != nil {
			a = engine(r)
		} else {
			a = whole(r)
		}
		if err := write.Encode(a); err != nil {
			os.Exit(1)
		}
	}
}
