//! Intents that no event has told us of.

use std::time::Duration;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes},
    rpc::types::TransactionRequest,
    sol_types::{SolCall, SolValue},
};
use api::solver::{GaslessOrder, Intent as IntentDto, IntentStatus, StateChange, SubmitIntent};
use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chain::sender::Request;
use protocol::{
    abi::{
        intent::{GaslessCrossChainOrder, OrderData},
        intent_source,
    },
    erc7683,
    ids::{ChainId, IntentHash},
    intent::{Call, Intent, Reward, Route, TokenAmount},
};

use super::{Door, QUEUE, Refusal, parse_hash};
use crate::{
    engine::{Fault, open_key},
    filter::{self, Intake, Ruling, Verdict},
    order::{self, Order},
    store::{Outgoing, Recorded},
};

/// Longest look at an intent: a chain that does not answer must not keep the places from intents of others.
const WITHIN: Duration = Duration::from_secs(5);

/// `POST /v1/intents`.
pub(super) async fn submit(
    State(door): State<Door>,
    request: Result<Json<SubmitIntent>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(request) = request?;
    let Ok(_place) = tokio::time::timeout(QUEUE, door.places.acquire()).await else {
        return Err(Refusal::Busy("the solver is busy: hand the intent in again in a moment"));
    };
    let submission = async {
        match request {
            SubmitIntent::Direct { origin_chain_id, intent } => {
                submit_direct(&door, ChainId(origin_chain_id), intent).await
            }
            SubmitIntent::Gasless { order, signature } => {
                submit_gasless(&door, order, signature).await
            }
        }
    };
    let (hash, recorded) = tokio::time::timeout(WITHIN, submission)
        .await
        .map_err(|_| Refusal::Busy("the origin takes too long to answer"))??;
    // What is known already is looked at when its time comes, however often it is handed in.
    if recorded == Recorded::New {
        // A closed channel means that the engine stops; the store wakes the order next time.
        let _ = door.wake.send(hash);
    }
    let status = status_of(&door, hash).await?;
    Ok((StatusCode::ACCEPTED, Json(status)).into_response())
}

/// `GET /v1/intents/{hash}`.
pub(super) async fn status(
    State(door): State<Door>,
    path: Path<String>,
) -> Result<Json<IntentStatus>, Refusal> {
    let hash = parse_hash(path)?;
    Ok(Json(status_of(&door, hash).await?))
}

async fn status_of(door: &Door, hash: IntentHash) -> Result<IntentStatus, Refusal> {
    let order = door.engine.store.order(hash).await?.ok_or(Refusal::NotFound)?;
    let history = door.engine.store.history(hash).await?;
    Ok(IntentStatus {
        intent_hash: hash.0,
        state: order.state.to_string(),
        reason: order.reason,
        history: (history.into_iter())
            .map(|h| StateChange { state: h.state.to_string(), reason: h.reason, at: h.at })
            .collect(),
    })
}

/// What can be refused at the door is not written down: anybody may knock. Nothing here asks a chain.
fn refuse_nonsense(door: &Door, order: &Order) -> Result<(), Refusal> {
    let engine = &door.engine;
    let intake = Intake { order, policy: &engine.policy };
    refuse(filter::judge_intake(&intake))?;
    let time = |chain| Ok::<_, Fault>(engine.network.link(chain)?.head().block.timestamp);
    refuse(filter::judge_deadlines(&intake, time(order.origin)?, time(order.destination())?))
}

fn refuse(ruling: Ruling) -> Result<(), Refusal> {
    match ruling.verdict {
        Verdict::Accept => Ok(()),
        Verdict::Reject { reason }
        | Verdict::TooLate { reason }
        | Verdict::NotYet { reason, .. } => {
            Err(Refusal::Refused { code: ruling.rule, message: reason })
        }
    }
}

fn refused(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::Refused { code, message: message.into() }
}

/// An intent that no event has told of. Its reward has to be in the vault: an order costs estimates, and only who has
/// funded one has paid for it.
async fn submit_direct(
    door: &Door,
    origin: ChainId,
    intent: IntentDto,
) -> Result<(IntentHash, Recorded), Refusal> {
    let engine = &door.engine;
    let order = Order::new(origin, into_intent(intent), engine.now());
    if let Some(known) = engine.store.order(order.hash).await? {
        // No event tells of a reward that came by a plain transfer: what waited for it is looked at as if it were new.
        let is_news = awaits_reward(&known)
            && engine.gatherer.is_funded(&known).await.map_err(Fault::from)?;
        let recorded = if is_news { Recorded::New } else { Recorded::Known };
        return Ok((order.hash, recorded));
    }
    refuse_nonsense(door, &order)?;
    if !engine.gatherer.is_funded(&order).await.map_err(Fault::from)? {
        return Err(refused("vault", "the vault does not hold the reward yet"));
    }
    let recorded = engine.store.record(&order).await?;
    Ok((order.hash, recorded))
}

/// Whether the last look at an order found nothing but its reward missing.
fn awaits_reward(order: &Order) -> bool {
    order.state == order::State::Waiting && order.reason.starts_with("vault:")
}

/// A signed order. What it says is checked here, then how many wait already, and last, by trying the opening, what only
/// the chain knows: signature, nonce, the user's funds and allowance.
async fn submit_gasless(
    door: &Door,
    dto: GaslessOrder,
    signature: Bytes,
) -> Result<(IntentHash, Recorded), Refusal> {
    let engine = &door.engine;
    let order = signed_order(door, &dto)?;
    let known = engine.store.order(order.hash).await?;
    let is_decided = known.is_some_and(|known| !known.state.is_undecided());
    if is_decided || engine.store.outgoing(&open_key(&order)).await?.is_some() {
        return Ok((order.hash, Recorded::Known));
    }
    refuse_nonsense(door, &order)?;
    refuse_too_many(door, order.reward().creator).await?;
    let link = engine.network.link(order.origin).map_err(Fault::from)?;
    let wallet = link
        .wallet_for(order.hash[0])
        .ok_or_else(|| Refusal::Internal("a chain without a wallet".into()))?
        .address();
    let settler = engine.policy.chain(order.origin).map(|c| c.intent_source).unwrap_or_default();
    let user = dto.user;
    let request = opening(&order, dto, signature, settler);
    let call =
        TransactionRequest::default().from(wallet).to(settler).input(request.data.clone().into());
    if let Err(error) = link.client.simulate(&call, BlockNumberOrTag::Latest).await {
        let message = format!("opening the order of {user} fails: {error}");
        return Err(refused("order", message.chars().take(300).collect::<String>()));
    }
    let outgoing = Outgoing { chain: order.origin, wallet, request };
    let recorded = engine.store.record_gasless(&order, &outgoing).await?;
    Ok((order.hash, recorded))
}

/// The order that a signed one opens.
fn signed_order(door: &Door, dto: &GaslessOrder) -> Result<Order, Refusal> {
    let origin = ChainId(dto.origin_chain_id);
    if door.engine.policy.chain(origin).is_none() {
        return Err(refused("inbox", format!("origin {origin} is not served")));
    }
    if dto.order_data_type != erc7683::ORDER_DATA_TYPEHASH {
        return Err(refused("order", "the order's data is of another type"));
    }
    let data = OrderData::abi_decode(&dto.order_data)
        .map_err(|_| refused("order", "the order's data does not decode"))?;
    let route = Route::abi_decode(&data.route)
        .map_err(|_| refused("order", "the order's route does not decode"))?;
    if route.encode() != data.route {
        return Err(refused("order", "the order's route is not in its canonical form"));
    }
    // The contract wants it so, and limits by creator rely on it.
    if data.reward.creator != dto.user {
        return Err(refused("order", "the reward's creator is not the order's user"));
    }
    let intent = Intent { destination: data.destination, route, reward: data.reward };
    Ok(Order::new(origin, intent, door.engine.now()))
}

/// Orders that wait to be opened cost an estimate now and then, and nobody but us pays for it. Beyond their number the
/// oldest gives way.
async fn refuse_too_many(door: &Door, user: Address) -> Result<(), Refusal> {
    let engine = &door.engine;
    let unopened = engine.store.unopened(user, engine.clock.unix()).await?;
    if unopened.of_creator >= engine.policy.limits().in_flight_per_creator {
        let given = unopened.of_creator;
        return Err(Refusal::TooMany(format!("{given} orders of {user} wait to be opened")));
    }
    if unopened.all >= door.most_signed && !engine.displace_unopened().await? {
        return Err(Refusal::Busy("as many signed orders wait to be opened as may"));
    }
    Ok(())
}

/// The transaction that opens a gasless order. A native reward would have to come from us, which
/// the contract refuses without value: such orders fail in the simulation.
fn opening(order: &Order, dto: GaslessOrder, signature: Bytes, settler: Address) -> Request {
    let deadline = u64::from(dto.open_deadline);
    let call = intent_source::openForCall {
        order: GaslessCrossChainOrder {
            originSettler: dto.origin_settler,
            user: dto.user,
            nonce: dto.nonce.0,
            originChainId: alloy::primitives::U256::from(dto.origin_chain_id),
            openDeadline: dto.open_deadline,
            fillDeadline: dto.fill_deadline,
            orderDataType: dto.order_data_type,
            orderData: dto.order_data,
        },
        signature,
        originFillerData: Bytes::new(),
    };
    Request::call(open_key(order), settler, call.abi_encode()).with_deadline(deadline)
}

fn into_intent(dto: IntentDto) -> Intent {
    let tokens = |legs: Vec<api::solver::TokenAmount>| {
        legs.into_iter().map(|t| TokenAmount { token: t.token, amount: t.amount.0 }).collect()
    };
    let calls = dto.route.calls.into_iter();
    Intent {
        destination: dto.destination_chain_id,
        route: Route {
            salt: dto.route.salt,
            deadline: dto.route.deadline,
            portal: dto.route.portal,
            nativeAmount: dto.route.native_amount.0,
            tokens: tokens(dto.route.tokens),
            calls: calls
                .map(|c| Call { target: c.target, data: c.data, value: c.value.0 })
                .collect(),
        },
        reward: Reward {
            deadline: dto.reward.deadline,
            creator: dto.reward.creator,
            prover: dto.reward.prover,
            nativeAmount: dto.reward.native_amount.0,
            tokens: tokens(dto.reward.tokens),
        },
    }
}
