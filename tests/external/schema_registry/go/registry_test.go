// franz-go's client of a schema registry at the URL of REGISTRY, in the order of its API.
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

const (
	user    = `{"type":"record","name":"User","namespace":"shop","fields":[{"name":"name","type":"string"}]}`
	renamed = `{"type":"record","name":"User","namespace":"shop","fields":[{"name":"full","type":"string"}]}`
)

func client(t *testing.T, options ...sr.ClientOpt) *sr.Client {
	t.Helper()
	client, err := sr.NewClient(append(options, sr.URLs(os.Getenv("REGISTRY")))...)
	check(t, err)
	return client
}

func unique(name string) string {
	return fmt.Sprintf("%s-%d", name, time.Now().UnixNano())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[V any](t *testing.T, got, wanted V) {
	t.Helper()
	if !reflect.DeepEqual(got, wanted) {
		t.Fatalf("got %v, not %v", got, wanted)
	}
}

// value returns the result of a call that must succeed.
func value[V any](t *testing.T) func(V, error) V {
	return func(value V, err error) V {
		t.Helper()
		check(t, err)
		return value
	}
}

func refused(t *testing.T, err error, code int) {
	t.Helper()
	var response *sr.ResponseError
	if !errors.As(err, &response) || response.ErrorCode != code {
		t.Fatalf("got %v, not the code %d", err, code)
	}
}

func TestSchemasAndSubjects(t *testing.T) {
	ctx, cl, subject := context.Background(), client(t), unique("user")
	equal(t, value[[]sr.SchemaType](t)(cl.SupportedTypes(ctx)), []sr.SchemaType{sr.TypeAvro, sr.TypeProtobuf, sr.TypeJSON})
	created := value[sr.SubjectSchema](t)(cl.CreateSchema(ctx, subject, sr.Schema{Schema: user}))
	equal(t, created.Version, 1)
	equal(t, value[int](t)(cl.RegisterSchema(ctx, subject, sr.Schema{Schema: user}, -1, -1)), created.ID)
	equal(t, value[sr.Schema](t)(cl.SchemaByID(ctx, created.ID)).Schema, user)
	equal(t, value[string](t)(cl.SchemaTextByID(ctx, created.ID)), user)
	equal(t, slices.Contains(value[[]string](t)(cl.SubjectsByID(ctx, created.ID)), subject), true)
	versions := value[[]sr.SubjectVersion](t)(cl.SchemaVersionsByID(ctx, created.ID))
	equal(t, slices.Contains(versions, sr.SubjectVersion{Subject: subject, Version: 1}), true)
	equal(t, value[sr.SubjectSchema](t)(cl.SchemaByGUID(ctx, created.GUID)).Schema.Schema, user)
	contexts := value[[]sr.ContextID](t)(cl.SchemaIDsByGUID(ctx, created.GUID))
	equal(t, len(contexts) > 0 && contexts[0].ID == created.ID, true)
	equal(t, value[string](t)(cl.SchemaTextByVersion(ctx, subject, -1)), user)
	equal(t, value[sr.SubjectSchema](t)(cl.LookupSchema(ctx, subject, sr.Schema{Schema: user})).ID, created.ID)
	_, err := cl.LookupSchema(ctx, subject, sr.Schema{Schema: renamed})
	refused(t, err, 40403)
	equal(t, len(value[[]sr.SubjectSchema](t)(cl.Schemas(ctx, subject))), 1)
	all := sr.WithParams(ctx, sr.SubjectPrefix(subject), sr.LatestOnly)
	equal(t, len(value[[]sr.SubjectSchema](t)(cl.AllSchemas(all))), 1)
	equal(t, value[[]int](t)(cl.DeleteSubject(ctx, subject, sr.SoftDelete)), []int{1})
	deleted := sr.WithParams(ctx, sr.DeletedOnly, sr.SubjectPrefix(subject))
	equal(t, value[[]string](t)(cl.Subjects(deleted)), []string{subject})
	check(t, cl.DeleteSchema(ctx, subject, 1, sr.HardDelete))
	_, err = cl.SubjectVersions(ctx, subject)
	refused(t, err, 40401)
}

func TestReferencesAndContracts(t *testing.T) {
	ctx, cl, base, order := context.Background(), client(t), unique("base"), unique("order")
	value[sr.SubjectSchema](t)(cl.CreateSchema(ctx, base, sr.Schema{Schema: user}))
	schema := sr.Schema{
		Schema:         `{"type":"record","name":"Order","fields":[{"name":"by","type":"shop.User"}]}`,
		References:     []sr.SchemaReference{{Name: "shop.User", Subject: base, Version: 1}},
		SchemaMetadata: &sr.SchemaMetadata{Properties: map[string]string{"owner": "ann"}},
		SchemaRuleSet: &sr.SchemaRuleSet{DomainRules: []sr.SchemaRule{{
			Name: "r", Kind: sr.SchemaRuleKindCondition, Mode: sr.SchemaRuleModeRead, Type: "CEL", Expr: "true",
		}}},
	}
	created := value[sr.SubjectSchema](t)(cl.CreateSchema(ctx, order, schema))
	stored := value[sr.SubjectSchema](t)(cl.SchemaByVersion(ctx, order, 1))
	equal(t, stored.References, schema.References)
	equal(t, stored.SchemaMetadata, schema.SchemaMetadata)
	equal(t, stored.SchemaRuleSet, schema.SchemaRuleSet)
	users := value[[]sr.SubjectSchema](t)(cl.SchemaReferences(ctx, base, 1))
	equal(t, len(users) == 1 && users[0].ID == created.ID, true)
	usages := value[[]sr.SubjectSchema](t)(cl.SchemaUsagesByID(ctx, created.ID))
	equal(t, len(usages) == 1 && usages[0].Subject == order, true)
	_, err := cl.DeleteSubject(ctx, order, sr.HardDelete)
	refused(t, err, 40405)
	proto := unique("line.proto")
	line := sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; message Line { int32 n = 1; }`}
	value[sr.SubjectSchema](t)(cl.CreateSchema(ctx, proto, line))
	value[sr.SubjectSchema](t)(cl.CreateSchema(ctx, unique("bill"), sr.Schema{
		Type:       sr.TypeProtobuf,
		Schema:     `syntax = "proto3"; import "line.proto"; message Bill { Line line = 1; }`,
		References: []sr.SchemaReference{{Name: "line.proto", Subject: proto, Version: 1}},
	}))
}

func TestCompatibilityAndModes(t *testing.T) {
	ctx, cl, subject, other := context.Background(), client(t), unique("config"), unique("config")
	value[sr.SubjectSchema](t)(cl.CreateSchema(ctx, subject, sr.Schema{Schema: user}))
	verbose := sr.WithParams(ctx, sr.Verbose)
	result := value[sr.CheckCompatibilityResult](t)(cl.CheckCompatibility(verbose, subject, -1, sr.Schema{Schema: renamed}))
	equal(t, !result.Is && len(result.Messages) > 0, true)
	set := cl.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFullTransitive}, subject, other)
	equal(t, len(set) == 2 && set[0].Err == nil && set[1].Level == sr.CompatFullTransitive, true)
	read := cl.Compatibility(ctx, sr.GlobalSubject, subject)
	equal(t, read[0].Level, sr.CompatBackward)
	equal(t, read[1].Level, sr.CompatFullTransitive)
	reset := cl.ResetCompatibility(ctx, subject)
	check(t, reset[0].Err)
	refused(t, cl.Compatibility(ctx, subject)[0].Err, 40408)
	byDefault := cl.Compatibility(sr.WithParams(ctx, sr.DefaultToGlobal), subject)
	equal(t, byDefault[0].Level, sr.CompatBackward)
	_, err := cl.CreateSchema(ctx, subject, sr.Schema{Schema: renamed})
	refused(t, err, 40901)
	check(t, cl.SetMode(ctx, sr.ModeReadOnly, subject)[0].Err)
	equal(t, cl.Mode(ctx, subject)[0].Mode, sr.ModeReadOnly)
	_, err = cl.CreateSchema(ctx, subject, sr.Schema{Schema: renamed})
	refused(t, err, 42205)
	equal(t, cl.ResetMode(ctx, subject)[0].Mode, sr.ModeReadOnly)
	imported := unique("imported")
	check(t, cl.SetMode(sr.WithParams(ctx, sr.Force), sr.ModeImport, imported)[0].Err)
	id := 1_000_000 + int(time.Now().Unix()%1_000_000)
	made := value[sr.SubjectSchema](t)(cl.CreateSchemaWithIDAndVersion(ctx, imported, sr.Schema{Schema: renamed}, id, 7))
	equal(t, made.ID == id && made.Version == 7, true)
	equal(t, cl.ResetMode(ctx, imported)[0].Mode, sr.ModeImport)
}

func TestContexts(t *testing.T) {
	ctx, name, subject := context.Background(), "."+unique("ctx"), unique("a")
	cl := client(t, sr.DefaultParams(sr.Normalize))
	inside := sr.InContext(ctx, name)
	made := value[sr.SubjectSchema](t)(cl.CreateSchema(inside, subject, sr.Schema{Schema: user}))
	equal(t, made.ID, 1)
	equal(t, value[[]string](t)(cl.Subjects(sr.WithParams(ctx, sr.SubjectPrefix(":"+name+":")))), []string{":" + name + ":" + subject})
	equal(t, value[sr.Schema](t)(cl.SchemaByID(inside, 1)).Schema, user)
	found := value[[]string](t)(cl.Contexts(sr.WithParams(ctx, sr.ContextPrefix(name))))
	equal(t, found, []string{name})
	value[[]int](t)(cl.DeleteSubject(inside, subject, sr.SoftDelete))
	value[[]int](t)(cl.DeleteSubject(inside, subject, sr.HardDelete))
	check(t, cl.DeleteContext(ctx, name))
	page := sr.WithParams(ctx, sr.Offset(0), sr.Limit(1), sr.RawParams(url.Values{"deleted": {"true"}}))
	equal(t, len(value[[]string](t)(cl.Subjects(page))), 1)
}

func TestSerde(t *testing.T) {
	type point struct{ X int }
	ctx, cl := context.Background(), client(t)
	schema := sr.Schema{Type: sr.TypeJSON, Schema: `{"type":"object","properties":{"X":{"type":"integer"}}}`}
	made := value[sr.SubjectSchema](t)(cl.CreateSchema(ctx, unique("point"), schema))
	var serde sr.Serde
	serde.Register(made.ID, point{}, sr.EncodeFn(json.Marshal), sr.DecodeFn(json.Unmarshal))
	data := value[[]byte](t)(serde.Encode(point{3}))
	id, _, err := serde.DecodeID(data)
	check(t, err)
	equal(t, value[sr.Schema](t)(cl.SchemaByID(ctx, id)).Type, sr.TypeJSON)
	var read point
	check(t, serde.Decode(data, &read))
	equal(t, read, point{3})
}
