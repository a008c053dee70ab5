"""An agent that looks up the weather; its model calls pass AgentRM."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model


@tool
def get_weather(city: str) -> str:
    """The weather of a city now."""
    return f"It is sunny in {city}."


def weather_agent(rm):
    model = ChatOpenAI(model="gpt-4o-mini", temperature=0, max_retries=0)
    managed = wrap_chat_model(model, rm, agent="weather")
    return create_agent(managed, [get_weather], system_prompt="Use the tool. Answer briefly.")
