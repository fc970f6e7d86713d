package resilience

// OpenStoreOn is for tests outside of the package.
var OpenStoreOn = openStoreOn
