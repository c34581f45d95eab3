//! The stable codes of diagnostics, each with its page.

/// What a code means, with an example that fails and the same put right.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// `WR0103`
    pub code: &'static str,
    /// A few words.
    pub title: &'static str,
    /// The page, Markdown.
    pub text: &'static str,
}

/// The page of a code; its case does not matter.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    EXPLANATIONS
        .iter()
        .find(|explanation| explanation.code.eq_ignore_ascii_case(code))
}

/// All pages, in the order of their codes.
pub fn explanations() -> &'static [Explanation] {
    EXPLANATIONS
}

macro_rules! codes {
    ($($name:ident $code:literal $title:literal)*) => {
        $(
            #[doc = $title]
            pub(crate) const $name: &str = $code;
        )*
        static EXPLANATIONS: &[Explanation] = &[$(
            Explanation {
                code: $code,
                title: $title,
                text: include_str!(concat!("explain/", $code, ".md")),
            },
        )*];
    };
}

codes! {
    // The text.
    UNREADABLE "WR0001" "the configuration file cannot be read"
    NOT_UTF8 "WR0002" "the configuration file is not UTF-8"
    TOO_LARGE "WR0003" "the configuration file is too large"
    SYNTAX "WR0004" "invalid YAML"
    SEVERAL_DOCUMENTS "WR0005" "several documents in one file"
    DUPLICATE_KEY "WR0006" "a key is written twice"
    TOO_DEEP "WR0007" "nested too deeply"
    TOO_MANY_VALUES "WR0008" "too many values"
    BAD_MERGE "WR0009" "a merge key without a mapping"
    BAD_KEY "WR0010" "a key that is no text"
    BAD_TAG "WR0011" "an unsupported YAML tag"

    // Keys and values.
    WRONG_TYPE "WR0101" "a value of the wrong type"
    MISSING_KEY "WR0102" "a required key is missing"
    UNKNOWN_KEY "WR0103" "an unknown key"
    EMPTY_VALUE "WR0104" "a key without a value"
    BAD_DURATION "WR0105" "an invalid duration"
    BAD_SIZE "WR0106" "an invalid size"
    BAD_NUMBER "WR0107" "an invalid number"
    BAD_PERCENTAGE "WR0108" "an invalid percentage"
    BAD_ADDRESS "WR0109" "an invalid address"
    BAD_NETWORK "WR0110" "an invalid network"
    BAD_METHOD "WR0111" "an invalid method"
    BAD_HEADER_NAME "WR0112" "an invalid header name"
    BAD_HEADER_VALUE "WR0113" "an invalid header value"
    BAD_CHOICE "WR0114" "a value that is not among the choices"
    BAD_HOST "WR0115" "an invalid host"
    BAD_PATH "WR0116" "an invalid path"
    BAD_TEMPLATE "WR0117" "an invalid template"
    BAD_NAME "WR0118" "an invalid name"
    EMPTY_LIST "WR0119" "a list with too few items"
    RESERVED_HEADER "WR0120" "a header that rules may not change"
    BAD_TEXT "WR0121" "an invalid text"
    BAD_COOKIE_NAME "WR0122" "an invalid cookie name"
    BAD_ORIGIN "WR0130" "an invalid origin"
    BAD_MEDIA_TYPE "WR0131" "an invalid media type"
    BAD_JQ "WR0140" "a jq program that does not compile"
    BAD_BODY_TEMPLATE "WR0141" "a template of a body that does not compile"
    BAD_FIELD_PATH "WR0142" "an invalid path of a field"
    BAD_CEDAR "WR0143" "Cedar rules that do not compile"

    // How parts fit together.
    UNKNOWN_UPSTREAM "WR0201" "a route names an unknown upstream"
    UNKNOWN_POLICY "WR0202" "a route names an unknown policy"
    DUPLICATE_ROUTE "WR0203" "two routes share a name"
    DUPLICATE_ADDRESS "WR0204" "two listeners share an address"
    CONFLICT "WR0205" "keys that exclude each other"
    NOTHING_CHOSEN "WR0206" "one of several keys is needed"
    UNKNOWN_CAPTURE "WR0207" "a template uses what the path does not capture"
    UNREACHABLE_ROUTE "WR0208" "two routes match the same requests"
    UNKNOWN_ENVIRONMENT "WR0209" "an unknown environment"
    NOTHING_TO_REMOVE "WR0210" "an environment removes what is not there"
    LISTED_TWICE "WR0211" "an item is listed twice"
    UNKNOWN_BACKEND "WR0212" "a pin names an upstream that its split lacks"
    SHADOWED_RESOURCE "WR0213" "the file has what a resource is called"
    UNKNOWN_LISTENER "WR0214" "a certificate is for a listener that there is not"
    NAME_TAKEN "WR0215" "two certificates are for the same name"
    SAME_KIND "WR0220" "two policies of a kind that acts once"

    // References and what they lead to.
    NOT_A_REFERENCE "WR0301" "a reference is needed"
    VARIABLE_UNSET "WR0302" "an environment variable is not set"
    FILE_UNREADABLE "WR0303" "a referenced file cannot be read"
    BAD_REFERENCED_VALUE "WR0304" "a referenced value cannot be used"
    BAD_CERTIFICATE "WR0305" "an invalid certificate"
    CERTIFICATE_OUTDATED "WR0306" "a certificate that is not valid now"
    CERTIFICATE_EXPIRES "WR0307" "a certificate expires soon"
    BAD_PRIVATE_KEY "WR0308" "an invalid private key"
    KEY_FILE_EXPOSED "WR0309" "a private key that others may read"
    FILE_ABSENT "WR0310" "a file that is not there yet"
    NAMELESS_CERTIFICATE "WR0311" "a certificate without names"
    REFERENCE_IN_RESOURCE "WR0312" "a resource refers to the machine"
    SECRET_OF_FILE "WR0313" "a resource would get a secret of the file"
    OUT_OF_REACH "WR0314" "a resource reaches where it may not"
    UNOPENED_RESOURCE "WR0315" "the secrets of a resource do not open"
    NO_CERTIFICATE_YET "WR0316" "a listener with TLS has no certificate yet"
    BAD_CONTRACT "WR0320" "an OpenAPI document or JSON Schema that cannot be used"
    BAD_KEY_SET "WR0321" "a key set that cannot be used"
    KEY_LEFT_OUT "WR0322" "a key of a set that is left out"
    BAD_USERS "WR0323" "a file of users that cannot be used"

    // What this version does not do.
    NOT_ENFORCED "WR0401" "this version cannot enforce it"

    // Advice.
    ADMIN_EXPOSED "WR0501" "the admin listener is reachable from other machines"
    LITERAL_SECRET "WR0502" "a secret is written into the file"
    TRUSTS_EVERYONE "WR0503" "every peer is a trusted proxy"
    UNUSED_UPSTREAM "WR0504" "no route uses an upstream"
    UNUSED_POLICY "WR0505" "no route uses a policy"
    OLD_TLS "WR0506" "TLS 1.2 is accepted"
    TEXT_LOG "WR0507" "logs are written as text"
    RELATIVE_DATA "WR0508" "the data directory depends on the working directory"
    CUT_SHORT "WR0509" "a duration that another one cuts short"
    WITHOUT_EFFECT "WR0510" "a setting without effect"
    OWN_TARGET "WR0511" "a target is a listener of this Weir"
    OPEN_KEYS "WR0512" "keys are fetched without TLS"
    ALIKE "WR0513" "the admin listener takes a route's clients for one"
}
