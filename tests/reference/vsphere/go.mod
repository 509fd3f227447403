module vsphere

go 1.25

require github.com/vmware/govmomi v0.52.0
