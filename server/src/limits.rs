//! The service's quotas and the front end's own bounds; each with its unit and its source.

/// Deepest nesting of lists and maps in a body. Own bound: no input of the API nests deeper than 5.
pub const BODY_DEPTH_MAX: usize = 32;

/// Most values (scalars, lists and maps) in one body. Own bound on memory per request, since a value
/// takes more room parsed than written; the largest legal `PutRecords` has about 2,000.
pub const BODY_VALUES_MAX: usize = 65_536;

/// Most digits of one number in a body. Own bound: no member of the API needs more than 10.
pub const BODY_NUMBER_DIGITS_MAX: usize = 40;

/// Most entries of one `ValidationException` message. Observed of the service.
pub const VIOLATIONS_MAX: usize = 10;
