module github.com/resilgen/resilgen

go 1.25
