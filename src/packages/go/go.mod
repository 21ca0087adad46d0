module github.com/ottla/ottla-go

go 1.21
