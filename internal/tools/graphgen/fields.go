package main

import (
	"fmt"
	"go/constant"
	"go/types"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
)

// leaf is how a scalar or an enum that a field holds is written at once.
type leaf struct {
	// Value is of the type that Method takes. Where Pointer is set, Value is what
	// it points to, and there is none where it is nil.
	Method, Value, Pointer string
	// Unless is a condition under which the field has no value although it must
	// have one: then gqlgen's way tells the error.
	Unless string
}

// Always says whether the field is never written in gqlgen's way.
func (l *leaf) Always() bool { return l.Unless == "" }

// direct says how to write a field at once; nil where it takes more than that.
func direct(f *codegen.Field) *leaf {
	ref := f.TypeReference
	if !held(f) || ref.Definition.Kind != ast.Scalar && ref.Definition.Kind != ast.Enum || ref.IsContext {
		return nil
	}
	value := f.GoReceiverName + "." + f.GoFieldName
	l := &leaf{Value: value}
	goType := ref.GO
	if p, ok := goType.(*types.Pointer); ok {
		if ref.GQL.NonNull {
			return nil
		}
		l.Pointer, l.Value, goType = value, "*"+value, p.Elem()
	}
	under, _ := goType.Underlying().(*types.Basic)
	marshal := ""
	if ref.Marshaler != nil {
		marshal = ref.Marshaler.Name()
	}
	switch {
	case ref.HasEnumValues():
		if !named(ref) {
			return nil
		}
		l.Method, l.Value = "text", fmt.Sprintf("string(%s)", l.Value)
	case ref.Definition.Kind == ast.Enum && ref.IsMarshaler && under != nil && under.Kind() == types.String:
		l.Method, l.Value = "text", fmt.Sprintf("string(%s)", l.Value)
	case (marshal == "MarshalString" || marshal == "MarshalID") && under != nil && under.Kind() == types.String:
		l.Method, l.Value = "text", fmt.Sprintf("string(%s)", l.Value)
	case marshal == "MarshalInt" && under != nil && under.Kind() == types.Int:
		l.Method, l.Value = "number", fmt.Sprintf("int(%s)", l.Value)
	case marshal == "MarshalBoolean" && under != nil && under.Kind() == types.Bool:
		l.Method, l.Value = "truth", fmt.Sprintf("bool(%s)", l.Value)
	case marshal == "MarshalTime" && goType.String() == "time.Time":
		l.Method = "moment"
		if ref.GQL.NonNull {
			l.Unless = l.Value + ".IsZero()"
		}
	default:
		return nil
	}
	return l
}

// named says whether an enum's constants are texts, and the names of its values.
func named(ref *config.TypeReference) bool {
	for _, v := range ref.EnumValues {
		c, ok := v.Object.(*types.Const)
		if !ok || c.Val().Kind() != constant.String || constant.StringVal(c.Val()) != v.Definition.Name {
			return false
		}
	}
	return true
}

// lean says whether a field gives an object, or several, that no directive is
// about.
func lean(f *codegen.Field) bool {
	if f.TypeReference == nil || !f.TypeReference.Definition.IsCompositeType() || f.TypeReference.IsRoot || types.IsInterface(f.TypeReference.GO) {
		return false
	}
	return held(f) || own(f) && !f.IsVariable() && !f.NoErr && !f.VOkFunc && (f.IsResolver || f.IsMethod())
}

// noticed says whether resolvers are told what a lean field gives. What a page
// holds is told with the page.
func noticed(f *codegen.Field) bool {
	return !f.IsVariable() || !strings.HasSuffix(f.Object.Name, "Edge") && !strings.HasSuffix(f.Object.Name, "Connection")
}

// held says whether a field of a row or a model is what is asked for.
func held(f *codegen.Field) bool {
	return own(f) && f.IsVariable() && !f.IsResolver && len(f.Args) == 0 && !f.IsReserved()
}

// own says whether a field may be executed in another way than gqlgen's.
func own(f *codegen.Field) bool {
	return !f.Object.Root && !f.Object.Stream && !f.Stream && !f.IsBatch() && !f.HasHaser && !f.HasDirectives() && f.TypeReference != nil
}
