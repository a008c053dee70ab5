"""Manage a chain that exists already: add one callback.

    OPENAI_API_KEY=... python examples/add_callback.py

Without a key, run `agentrm provider` in another terminal and set the two variables that it prints.
"""

import os
import sys

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from agentrm_langchain import AgentRMCallbackHandler
from agentrm_plugins import AgentRM


def main():
    if "OPENAI_API_KEY" not in os.environ:
        sys.exit(__doc__)
    # Your chain, as it is.
    prompt = ChatPromptTemplate.from_template("One sentence about {topic}.")
    chain = prompt | ChatOpenAI(model="gpt-4o-mini", max_retries=0) | StrOutputParser()

    # All that is new: one core for the process, one callback for the chain.
    with AgentRM(lanes=2) as rm:
        handler = AgentRMCallbackHandler(rm)
        chain = chain.with_config(callbacks=[handler])

        topics = ["the sea", "bread", "clocks", "moss", "maps"]
        sentences = chain.batch([{"topic": topic} for topic in topics])
        for topic, sentence in zip(topics, sentences, strict=True):
            print(f"{topic}: {sentence}")

        seen = rm.statistics()
        print(
            f"{seen.settled} calls on {seen.lanes} lanes, at most {seen.lanes_peak} at once; "
            f"{seen.input_tokens} tokens in, {seen.output_tokens} out"
        )


if __name__ == "__main__":
    main()
