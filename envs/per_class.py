"""The per-class environment: one step decides the parameters of one class for one clip."""

from __future__ import annotations

from typing import ClassVar

from .post_processing import PostProcessingEnv
from .vector import PostProcessingVectorEnv


class PostProcessingPerClassEnv(PostProcessingEnv):
    """`PostProcessingEnv` with one clip and one class a step.

    ## Description
    Post-processing treats each class by itself, so the joint decision splits: ten times the samples, and the reward of a
    step belongs to that step's class alone.

    ## Action Space
    `MultiDiscrete`: the index of the value of each parameter of the stack; with `actions="candidate"` it is
    `Discrete(n_candidates)`. Parameters of global scope need the joint environment.

    ## Observation Space
    | name            | space                          | content                                     |
    |-----------------|--------------------------------|---------------------------------------------|
    | `scores`,`flat` | `Box(0, 1, [frame + class])`   | the class's track, then the class one-hot   |
    | `summary`       | `Box(0, 1, [7 + class])`       | seven statistics of the track, then one-hot |
    | `dict`          | `Dict(scores, mask, class)`    | the track, existing frames, class one-hot   |
    | `events`        | `Dict(features, mask, levels, class)` | the events that candidates would decode |

    With `events` a policy judges what each candidate would do on this clip: `features` float32 `[event, feature]` of the
    distinct events that the candidates decode (columns: `rl_postproc.candidates.features.feature_names`), `mask` `[event]` (1
    where there is an event; the number of rows is the most events of any clip and class), and `levels` int64
    `[event, filter, 2]`: with this filter setting the event is decoded at the levels (thresholds) from the first number
    up to, not including, the second. Candidate `filter * n_levels + level` is the action of `actions="candidate"` and stands
    for the indices `np.unravel_index(candidate, action_space.nvec)`; its logit in an event-additive policy is the sum of
    `g(features)` over its events. With `observation={"observation": "events", "max_events": 64}` the space is the same
    whatever the clips: the 64 events that most candidates decode are shown. See
    `rl_postproc.envs.observations.events.EventTables`.

    ## Rewards
    As in `PostProcessingEnv`, with the counts of the step's class; `linearised_f1` sums over the classes of a clip to the
    joint reward. A pass visits every clip and class once.

    ## Information
    As in `PostProcessingEnv`, and `class`; the counts have one element.

    ## Arguments, Episode End, Vectorized environment
    As in `PostProcessingEnv`.

    ## Version History
    * v0: initial version.

    Example:
        >>> from rl_postproc.envs import PostProcessingPerClassEnv
        >>> scores = {"data": {"simulated": {"n_clips": 3, "classes": ["Dog", "Speech"]}}}
        >>> env = PostProcessingPerClassEnv(scores, observation="summary", actions="candidate")
        >>> env.action_space, env.observation_space.shape
        (Discrete(510), (9,))
        >>> _, info = env.reset(seed=0, options={"clip_id": "sim_00001.wav", "class": "Dog"})
        >>> info["clip_id"], info["class"]
        ('sim_00001.wav', 'Dog')
    """

    per_class: ClassVar[bool] = True


class PostProcessingPerClassVectorEnv(PostProcessingVectorEnv):
    """Many `PostProcessingPerClassEnv` at once; see `PostProcessingVectorEnv`.

    Example:
        >>> from rl_postproc.envs import PostProcessingPerClassVectorEnv
        >>> scores = {"data": {"simulated": {"n_clips": 3, "classes": ["Dog", "Speech"]}}}
        >>> envs = PostProcessingPerClassVectorEnv(scores, num_envs=64, observation="summary", actions="candidate")
        >>> observations, infos = envs.reset(seed=0)
        >>> observations.shape, envs.action_space.shape
        ((64, 9), (64,))
    """

    per_class: ClassVar[bool] = True
