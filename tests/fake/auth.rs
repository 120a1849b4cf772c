//! Who calls, and whether they may: JWTs of Apps, tokens of installations, and what each is good for.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use super::call::{Answer, Call};
use super::world::{App, Host, Repository, Token, USER_TOKEN, World};

const UNDECODABLE: &str = "A JSON web token could not be decoded";
const EXP_TOO_FAR: &str = "'Expiration time' claim ('exp') is too far in the future";
const EXP_PAST: &str = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
const IAT_FUTURE: &str =
    "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
const ISS_NO_NUMBER: &str = "'Issuer' claim ('iss') must be an Integer";
const NO_PUBLIC_KEY: &str = "Integration must generate a public key";

/// The longest time that a JWT may be good for, in seconds.
const LONGEST: i64 = 600;

/// The credential of a request, without the word before it.
pub(super) fn bearer(call: &Call) -> Option<&str> {
    let (scheme, credential) = call.header("authorization")?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")).then(|| credential.trim())
}

fn unauthorized(message: &str) -> Answer {
    Answer::error(401, message)
}

/// The App that signed this request's JWT, by every rule of GitHub's.
pub(super) fn app(world: &World, call: &Call) -> Result<App, Answer> {
    let undecodable = || unauthorized(UNDECODABLE);
    let jwt = bearer(call).ok_or_else(undecodable)?;
    let header = jsonwebtoken::decode_header(jwt).map_err(|_| undecodable())?;
    if header.alg != Algorithm::RS256 {
        return Err(undecodable());
    }
    let claims = claims_of(jwt).ok_or_else(undecodable)?;
    let app = issuer(world, &claims["iss"])?;
    let key = app.public_key.as_deref().ok_or_else(|| unauthorized(NO_PUBLIC_KEY))?;
    verify(jwt, key).ok_or_else(undecodable)?;
    let now = world.now();
    let exp = claims["exp"].as_i64().filter(|exp| *exp > now).ok_or_else(|| unauthorized(EXP_PAST))?;
    if exp > now + LONGEST {
        return Err(unauthorized(EXP_TOO_FAR));
    }
    claims["iat"].as_i64().filter(|iat| *iat <= now).ok_or_else(|| unauthorized(IAT_FUTURE))?;
    Ok(app.clone())
}

fn issuer<'a>(world: &'a World, issuer: &Value) -> Result<&'a App, Answer> {
    let text = issuer.as_str().map_or_else(|| issuer.to_string(), str::to_owned);
    let by_client_id =
        world.apps.iter().find(|app| app.client_id == text && !world.settings.numeric_issuer_only);
    if let Some(app) = by_client_id {
        return Ok(app);
    }
    let id: u64 = text.parse().map_err(|_| unauthorized(ISS_NO_NUMBER))?;
    // The sheet of facts has no row for a number that nobody has; GitHub calls Apps integrations inside.
    world.apps.iter().find(|app| app.id == id).ok_or_else(|| Answer::error(404, "Integration not found"))
}

/// Something when `key` made the signature.
fn verify(jwt: &str, key: &str) -> Option<()> {
    let key = DecodingKey::from_rsa_pem(key.as_bytes()).ok()?;
    let (message, signature) = jwt.rsplit_once('.')?;
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::RS256)
        .is_ok_and(|right| right)
        .then_some(())
}

/// Who calls a route that is not about Apps.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    Installation(Token),
    User,
    Nobody,
}

/// The caller; a credential that is not known is refused, whatever the route.
pub(super) fn caller(world: &World, call: &Call) -> Result<Caller, Answer> {
    let Some(credential) = bearer(call) else {
        if call.header("authorization").is_some() {
            return Err(unauthorized("Bad credentials"));
        }
        return match world.settings.host {
            Host::Dotcom | Host::Ghes => Ok(Caller::Nobody),
            Host::GheCom => Err(unauthorized("Requires authentication")),
        };
    };
    if credential == USER_TOKEN {
        return Ok(Caller::User);
    }
    let now = world.now();
    let token = world
        .tokens
        .iter()
        .find(|token| token.secret == credential && !token.revoked && token.expires_at > now)
        .ok_or_else(|| unauthorized("Bad credentials"))?;
    let suspended = world.installations.iter().any(|it| it.id == token.installation && it.suspended);
    if suspended {
        return Err(Answer::error(403, "This installation has been suspended"));
    }
    Ok(Caller::Installation(token.clone()))
}

/// The caller's token, when it is one of an installation, sees the repository and has `permission` at `level`.
pub(super) fn permitted(
    caller: &Caller,
    repository: &Repository,
    permission: &str,
    level: &str,
) -> Result<Token, Answer> {
    let needed = format!("{permission}={level}");
    let token = match caller {
        Caller::Nobody => return Err(unauthorized("Requires authentication")),
        Caller::User => {
            return Err(Answer::error(403, "You must authenticate via a GitHub App."));
        }
        Caller::Installation(token) => token,
    };
    if !token.repositories.contains(&repository.id) {
        return Err(if repository.private { Answer::not_found() } else { not_accessible(&needed) });
    }
    let held = token.permissions.get(permission).map_or(0, |held| rank(held));
    if held < rank(level) { Err(not_accessible(&needed)) } else { Ok(token.clone()) }
}

fn not_accessible(needed: &str) -> Answer {
    Answer::error(403, "Resource not accessible by integration")
        .with("x-accepted-github-permissions", needed.to_owned())
}

/// The order of levels; 0 for none.
pub(super) fn rank(level: &str) -> u8 {
    match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}

/// What a JWT claims, before anything is proved.
fn claims_of(jwt: &str) -> Option<Value> {
    jsonwebtoken::dangerous::insecure_decode_claims(jwt).ok()
}
