// Package testkit is for tests: it holds XML files against schemas, by two engines, whole and broken.
package testkit

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"testing"
)

// Node is an element of a file that holds data in attributes only; a node without a name is text
// as it stands in the file.
type Node struct {
	Name string
	Attr [][2]string // name and escaped value, in the order of the file
	Kids []*Node
	Text string
}

// Parse reads a file; white space between elements, comments and the declaration go.
func Parse(t testing.TB, file []byte) *Node {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(file))
	stack := []*Node{{}}
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return stack[0].Kids[0]
		}
		if err != nil {
			t.Fatal(err)
		}
		top := stack[len(stack)-1]
		switch e := token.(type) {
		case xml.StartElement:
			n := &Node{Name: e.Name.Local}
			for _, a := range e.Attr {
				var b bytes.Buffer
				if err := xml.EscapeText(&b, []byte(a.Value)); err != nil {
					t.Fatal(err)
				}
				n.Attr = append(n.Attr, [2]string{a.Name.Local, b.String()})
			}
			top.Kids = append(top.Kids, n)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		}
	}
}

func (n *Node) write(b *bytes.Buffer) {
	if n.Name == "" {
		b.WriteString(n.Text)
		return
	}
	b.WriteString("<" + n.Name)
	for _, a := range n.Attr {
		b.WriteString(" " + a[0] + `="` + a[1] + `"`)
	}
	b.WriteString(">")
	for _, k := range n.Kids {
		k.write(b)
	}
	b.WriteString("</" + n.Name + ">")
}

// File writes the element as a file.
func (n *Node) File() []byte {
	b := bytes.NewBufferString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	n.write(b)
	return b.Bytes()
}

// All lists the element and those below.
func (n *Node) All() []*Node {
	out := []*Node{n}
	for _, k := range n.Kids {
		out = append(out, k.All()...)
	}
	return out
}

// Have lists the elements with an attribute.
func (n *Node) Have(attr string) []*Node {
	return slices.DeleteFunc(n.All(), func(x *Node) bool { return x.at(attr) < 0 })
}

// Named lists the elements of these names.
func (n *Node) Named(names ...string) []*Node {
	return slices.DeleteFunc(n.All(), func(x *Node) bool { return !slices.Contains(names, x.Name) })
}

func (n *Node) at(attr string) int {
	return slices.IndexFunc(n.Attr, func(a [2]string) bool { return a[0] == attr })
}

// Set gives an attribute a value, escaped already; it is added at the end when it is not there.
func (n *Node) Set(attr, value string) {
	if i := n.at(attr); i >= 0 {
		n.Attr[i][1] = value
		return
	}
	n.Attr = append(n.Attr, [2]string{attr, value})
}

// Get returns an attribute, "" for none.
func (n *Node) Get(attr string) string {
	if i := n.at(attr); i >= 0 {
		return n.Attr[i][1]
	}
	return ""
}

// Drop takes attributes away, where they are.
func (n *Node) Drop(names ...string) {
	n.Attr = slices.DeleteFunc(n.Attr, func(a [2]string) bool { return slices.Contains(names, a[0]) })
}

// Insert puts an element or text between those below.
func (n *Node) Insert(at int, k *Node) { n.Kids = slices.Insert(n.Kids, at, k) }

// Copy copies the element and all below.
func (n *Node) Copy() *Node {
	c := *n
	c.Attr, c.Kids = slices.Clone(n.Attr), nil
	for _, k := range n.Kids {
		c.Kids = append(c.Kids, k.Copy())
	}
	return &c
}
