// Package matrix is what the checks of every Go client share: the command line, one line of JSON a check, bounded waits.
package matrix

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Bound is how long anything that is waited for may take.
const Bound = 40 * time.Second

// Codecs are the names of all compression codecs.
var Codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// Long is text that compresses.
var Long = strings.Repeat("the same words again and again ", 20)

// Check is one line of the list.
type Check struct {
	Name string
	Run  func() error
}

type skipped struct{ why string }

func (s skipped) Error() string { return s.why }

// Skip is what a check answers that the client cannot do.
func Skip(why string) error { return skipped{why} }

// NoStreams is the check that only Java has.
var NoStreams = Check{"streams_exactly_once", func() error { return Skip("it is a Java library") }}

// Arguments reads --bootstrap, --name and --only.
func Arguments() (bootstrap, name, only string) {
	flag.StringVar(&bootstrap, "bootstrap", "", "HOST:PORT")
	flag.StringVar(&name, "name", "", "what every name begins with")
	flag.StringVar(&only, "only", "", "some checks, separated by commas")
	flag.Parse()
	return bootstrap, name, only
}

// Run runs the checks in their order and ends the process.
func Run(checks []Check, only string) {
	code := 0
	for _, check := range checks {
		if only != "" && !slices.Contains(strings.Split(only, ","), check.Name) {
			continue
		}
		outcome := map[string]any{"check": check.Name}
		switch err := attempt(check.Run).(type) {
		case nil:
			outcome["ok"] = true
		case skipped:
			outcome["skipped"] = err.why
		default:
			outcome["ok"], outcome["error"] = false, err.Error()
			code = 1
		}
		line, _ := json.Marshal(outcome)
		fmt.Println(string(line))
	}
	os.Exit(code)
}

func attempt(run func() error) (err error) {
	defer func() {
		if failure := recover(); failure != nil {
			err = fmt.Errorf("%v", failure)
		}
	}()
	return run()
}

// Must ends the check if there is an error.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Get is a value, or the end of the check if there is an error.
func Get[T any](value T, err error) T {
	Must(err)
	return value
}

// Same ends the check unless both are equal.
func Same(expected, found any, what string) {
	if !reflect.DeepEqual(expected, found) {
		panic(fmt.Sprintf("%s: %v instead of %v", what, found, expected))
	}
}

// Until calls the condition, which waits a little by itself, until it holds.
func Until(what string, condition func() bool) {
	for end := time.Now().Add(Bound); !condition(); {
		if time.Now().After(end) {
			panic(fmt.Sprintf("%s: not within %v", what, Bound))
		}
	}
}

// Values are prefix0, prefix1, …
func Values(prefix string, count int) []string {
	values := make([]string, count)
	for number := range values {
		values[number] = fmt.Sprint(prefix, number)
	}
	return values
}
